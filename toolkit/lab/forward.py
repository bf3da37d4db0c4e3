"""The machine's 127.0.0.1 -> the same port inside the lab: sockets made outside are served from inside.

Runs as `python -m toolkit.lab.forward FD:PORT...`: each FD is a socket that listens in the machine's network
namespace (a socket stays where it was made), and what it accepts is connected to PORT of the lab's own 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()


def _to(port: int) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, outer), _pump(inner, writer))
        for each in (writer, outer):
            with contextlib.suppress(OSError):
                each.close()

    return serve


async def main(pairs: list[str]) -> None:
    for pair in pairs:
        descriptor, port = map(int, pair.split(":"))
        await asyncio.start_server(_to(port), sock=socket.socket(fileno=descriptor))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))

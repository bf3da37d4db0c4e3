"""A server with TLS in front of one without: `tls.py ADDRESS PORT TO_ADDRESS TO_PORT CHAIN KEY`, until it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys


async def _pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            to.write(data)
            await to.drain()
    with contextlib.suppress(OSError):
        to.close()


async def serve(address: str, port: str, to: str, to_port: str, chain: str, key: str) -> None:
    """Each connection is one to the other server."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(to, int(to_port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))

    async with await asyncio.start_server(one, address, int(port), ssl=context) as server:
        print("ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))

"""stdin -> HOST:PORT -> stdout, until either side has ended: what OpenSSH's ProxyCommand asks for."""

from __future__ import annotations

import os
import socket
import sys
import threading


def main(host: str, port: int) -> int:
    try:
        link = socket.create_connection((host, port), 30)
    except OSError as error:
        print(f"{host}:{port}: {error}", file=sys.stderr)
        return 1
    link.settimeout(None)

    def out() -> None:
        while data := link.recv(1 << 16):
            while data:
                data = data[os.write(1, data) :]
        os._exit(0)  # the far side has ended: whoever still writes writes to nobody

    reader = threading.Thread(target=out, daemon=True)
    reader.start()
    while data := os.read(0, 1 << 16):
        link.sendall(data)
    link.shutdown(socket.SHUT_WR)
    reader.join()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))

"""[[address, port], ...] -> how each answers a TCP connection; standard library only, as it also runs on the servers."""

import errno
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

SECONDS = 4.0
AT_ONCE = 16


def probe(address: str, port: int, seconds: float = SECONDS) -> str:
    """`open`, `closed` (the machine refuses: the way is free, nothing listens) or `silent` (nothing comes back)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(seconds)
        try:
            one.connect((address, port))
        except ConnectionRefusedError:
            return "closed"
        except (TimeoutError, OSError) as error:
            if isinstance(error, TimeoutError) or error.errno in SILENT:
                return "silent"
            raise
    return "open"


SILENT = {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM}


def probe_all(targets: list[list[object]]) -> list[str]:
    """The answers, in the order of the targets."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda each: probe(str(each[0]), int(str(each[1]))), targets))


if __name__ == "__main__":
    print(json.dumps(probe_all(json.loads(sys.argv[1]))))

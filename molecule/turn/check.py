"""What a client of TURN may do and may not, tried against a real coturn: `check.py SERVER PEER CA`, the secret on stdin.

One line of JSON for each check; exit code 1 where one of them failed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import time

PUBLIC = "185.1.2.3"
"""Address of this host that the server takes for one of the Internet."""


def credentials(secret: str, expires: int, name: str = "check") -> tuple[str, str]:
    """User and password as an application makes them from the shared secret. Quotas of former runs are not this one's."""
    user = f"{expires}:{name}-{os.getpid()}"
    digest = hmac.new(secret.encode(), user.encode(), hashlib.sha1).digest()
    return user, base64.b64encode(digest).decode()


def talk(server: str, user: str, password: str, *words: str, port: int = 3478) -> str:
    """What turnutils_uclient says."""
    command = [
        "turnutils_uclient",
        "-u",
        user,
        "-w",
        password,
        "-p",
        str(port),
        "-n",
        "5",
        "-z",
        "150",
        *words,
        server,
    ]
    done = subprocess.run(["timeout", "20", *command], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def relayed(said: str) -> bool:
    """Whether all of the packets came back."""
    sent = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", said)
    return bool(sent) and sent[-1] == ("20", "20") and "Total lost packets 0 " in said


def peer_in_public(server: str, user: str, password: str) -> str:
    """As `talk`, to a peer that has no relay of its own but an address that is not private."""
    with subprocess.Popen(["turnutils_peer", "-p", "3480", "-L", PUBLIC], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as echo:  # fmt: skip
        try:
            return talk(server, user, password, "-e", PUBLIC, "-r", "3480", "-m", "1")
        finally:
            echo.terminate()


def main(server: str, peer: str, ca: str) -> int:
    """All checks, in order."""
    secret = sys.stdin.read().strip()
    hour = int(time.time()) + 3600
    user, password = credentials(secret, hour)
    old = credentials(secret, int(time.time()) - 60)
    wrong = credentials("0" * 64, hour)
    greedy = credentials(secret, hour, "greedy")
    refused = "Cannot complete Allocation"
    cases = [
        ("packets come back over UDP", talk(server, user, password, "-y", "-m", "1"), relayed),
        ("packets come back over TCP", talk(server, user, password, "-y", "-m", "1", "-t"), relayed),
        ("packets come back over TLS", talk(server, user, password, "-y", "-m", "1", "-t", "-S", "-E", ca, port=5349), relayed),
        ("packets reach a peer in public and come back", peer_in_public(server, user, password), lambda said: "Total lost packets 0 " in said),
        ("a password of another secret is refused", talk(server, *wrong, "-y", "-m", "1"), lambda said: refused in said),
        ("an expired credential is refused", talk(server, *old, "-y", "-m", "1"), lambda said: refused in said),
        ("a neighbour in the private network is refused", talk(server, user, password, "-e", peer), lambda said: "403" in said and not relayed(said)),
        ("the server's loopback is refused", talk(server, user, password, "-e", "127.0.0.1"), lambda said: "403" in said and not relayed(said)),
        ("relaying TCP is refused", talk(server, user, password, "-T", "-y", "-m", "1"), lambda said: "442" in said and not relayed(said)),
        ("the user's quota holds", talk(server, *greedy, "-y", "-m", "20"), lambda said: "486" in said),
    ]  # fmt: skip
    failed = False
    for name, said, good in cases:
        passed = good(said)
        failed |= not passed
        print(
            json.dumps(
                {"check": name, "passed": passed} | ({} if passed else {"said": said[-800:]})
            )
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""What host two sees of host one: a line for each check; exit 1 where one is red."""

import concurrent.futures
import socket
import ssl
import sys

GATE, NAME = "10.77.0.11", "one.town.example"
red = []


def check(what, held, seen=""):
    print("ok  " if held else "FAIL", what, "" if held else repr(seen))
    if not held:
        red.append(what)


def tcp(port):
    """open, refused (let through, nobody there) or dropped."""
    try:
        socket.create_connection((GATE, port), 3).close()
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "dropped"
    return "open"


def udp(port):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(3)
    made.connect((GATE, port))
    try:
        made.send(b"hello")
        return made.recv(100) == b"hello"
    except OSError:
        return False


def ports():
    # somebody listens on 8000, 8003 and 8099, and echoes on 8002 and 8004 of UDP
    wanted = {
        22: "open",
        8000: "open",
        8001: "refused",
        8003: "dropped",
        8099: "dropped",
        25: "dropped",
        111: "dropped",
        443: "open",
    }
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        seen = dict(zip(wanted, pool.map(tcp, wanted), strict=True))
    check("open ports are the declared ones", seen == wanted, seen)
    check("UDP where it is declared", udp(8002))
    check("and nowhere else", not udp(8004))


def certificates():
    for name, good in ((NAME, True), ("also-one.town.example", True), ("two.town.example", False)):
        try:
            ssl.create_default_context().wrap_socket(
                socket.create_connection((GATE, 443), 5), server_hostname=name
            ).close()
            seen = True
        except ssl.SSLCertVerificationError:
            seen = False
        check(f"the system {'trusts' if good else 'does not trust'} it as {name}", seen == good)


ports()
certificates()
sys.exit(1 if red else 0)

"""Whom a host contacts, seen on its own wire -> JSON lines, as `repatria suite lint --contacts` takes them. Standard library only; runs there as root.

    contacts.py FILE [--host NAME] [--seconds N] [--served FIRST-LAST:UNIT]...

Written are the names that DNS was asked for, whoever asked and whoever answered; the first packet of a TCP connection, of a UDP flow and
of a ping that this host begins towards an address outside; the name that TLS, or a request to a proxy, says in the clear. Each once.
`--served` are the UDP ports on which a unit answers people with sound and pictures: their addresses are theirs, and not kept.
What was not seen is a line of its own (`lost`), and the lint says it. Nothing is changed on the host.
"""

import argparse
import ctypes
import ipaddress
import json
import os
import re
import select
import signal
import socket
import struct
import sys
import time
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path

MOST = 50_000
"""Of each kind of what is remembered; the oldest goes first."""
MOST_LINES = 200_000
"""Then the file is full, and what comes is counted as lost."""
PATIENCE = 2.0
"""Seconds that a new connection waits for its name, before it is written by its address."""
SNAP = 4096
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
EXTENSIONS = (0, 43, 44, 60)
"""Headers of IPv6 that stand before that of the transport."""
OUTGOING, ALL = 4, 3
SOL_PACKET, PACKET_STATISTICS, SO_ATTACH_FILTER, SO_RCVBUFFORCE = 263, 6, 26, 33


# -------------------------------------------------------------------------------- what the kernel passes on

PROTOCOL, DIRECTION = -0x1000, -0x1000 + 4
CODES = {
    "ld": 0x20, "ldh": 0x28, "ldb": 0x30, "ld x": 0x40, "ldh x": 0x48, "ldb x": 0x50, "x =": 0x01, "x = header": 0xB1, "x = a": 0x07, "a + x": 0x0C,
    "and": 0x54, ">>": 0x74, "go": 0x05, "==": 0x15, ">": 0x25, ">=": 0x35, "&": 0x45, "ret": 0x06,
}  # fmt: skip


def program(quiet):
    """The packet filter: what begins, what names, and UDP except from and to ports in `quiet`, where there is too much of it.

    Instructions are (operation, number, label where true, label where false); a label is the next one of its name.
    """
    return [
        ("ld", PROTOCOL), ("==", 0x0800, "four"), ("==", 0x86DD, "six", "drop"),
        "four", ("ldh", 6), ("&", 0x1FFF, "drop"), ("x = header", 0), ("ldb", 9), ("go", 0, "transport"),
        "six", ("x =", 40), ("ldb", 6), *(("==", each, "keep") for each in EXTENSIONS),
        "transport", ("==", TCP, "tcp"), ("==", UDP, "udp"), ("==", ICMP, "ping"), ("==", ICMP6, "ping6"), ("go", 0, "leaves"),
        "ping", ("ldb x", 0), ("==", 8, "leaves", "drop"),
        "ping6", ("ldb x", 0), ("==", 128, "leaves", "drop"),
        "leaves", ("ld", DIRECTION), ("==", OUTGOING, "keep", "drop"),
        "tcp", ("ldh x", 0), ("==", 53, "keep"), ("ld", DIRECTION), ("==", OUTGOING, "", "drop"), ("ldh x", 2), ("==", 53, "keep"),
        ("ldb x", 13), ("and", 0x12), ("==", 2, "keep"),
        ("ldb x", 12), ("and", 0xF0), (">>", 2), ("a + x", 0), ("x = a", 0), ("ld x", 0),
        ("==", _word("GET "), "url 4"), ("==", _word("HEAD"), "url 5"), ("==", _word("POST"), "url 5"), ("==", _word("CONN"), "keep"),
        ("and", 0xFFFF0000), ("==", 0x16030000, "", "drop"), ("ldb x", 5), ("==", 1, "keep", "drop"),
        "url 4", ("ldb x", 4), ("==", ord("h"), "keep", "drop"),
        "url 5", ("ldb x", 5), ("==", ord("h"), "keep", "drop"),
        "udp", ("ldh x", 0), ("==", 53, "keep"), ("ld", DIRECTION), ("==", OUTGOING, "", "comes"), ("ldh x", 0), ("go", 0, "port"),
        "comes", ("ldh x", 2),
        "port", *(step for first, last in quiet for step in ((">", last, "past"), (">=", first, "drop"), "past")),
        "keep", ("ret", SNAP),
        "drop", ("ret", 0),
    ]  # fmt: skip


def _word(text):
    return int.from_bytes(text.encode(), "big")


def assembled(steps):
    """The filter as the kernel takes it: 8 bytes an instruction."""
    places, count = [], 0
    for each in steps:
        places.append(count)
        count += not isinstance(each, str)
    made = b""
    for number, each in enumerate(steps):
        if isinstance(each, str):
            continue
        operation, value, *labels = each
        jumps = [0, 0]
        for which, label in enumerate(labels):
            if label:
                jumps[which] = places[steps.index(label, number)] - places[number] - 1
        if operation == "go":
            value, jumps = jumps[0], [0, 0]
        made += struct.pack("HBBI", CODES[operation], *jumps, value & 0xFFFFFFFF)
    return made


def listen(quiet):
    """A socket that sees what passes the filter, on every interface of this network namespace."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL))
    code = assembled(program(quiet))
    held = ctypes.create_string_buffer(code)
    made.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(code) // 8, ctypes.addressof(held)))  # fmt: skip
    try:
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 23)
    except PermissionError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    return made


# ----------------------------------------------------------------------------------------------- reading


def transport(data, version):
    """(source, destination, protocol, payload) of a packet. Raises ValueError where there is none, or a later fragment."""
    if version == 4:
        size = (data[0] & 15) * 4
        if data[0] >> 4 != 4 or size < 20 or int.from_bytes(data[6:8], "big") & 0x1FFF:
            raise ValueError(data)
        return data[12:16], data[16:20], data[9], data[size:]
    if data[0] >> 4 != 6:
        raise ValueError(data)
    kind, at = data[6], 40
    for _ in range(8):
        if kind not in EXTENSIONS:
            return data[8:24], data[24:40], kind, data[at:]
        if kind == 44 and int.from_bytes(data[at + 2 : at + 4], "big") & 0xFFF8:
            break
        kind, at = data[at], at + (8 if kind == 44 else data[at + 1] * 8 + 8)
    raise ValueError(data)


def _name(message, at):
    """A name of DNS and where it ends; what is no letter of one becomes `?`."""
    labels, after, jumps = [], 0, 0
    while message[at]:
        size = message[at]
        if size >= 0xC0:
            after, jumps = after or at + 2, jumps + 1
            at = int.from_bytes(message[at : at + 2], "big") & 0x3FFF
            if jumps > 20:
                raise ValueError("a name that points in a ring")
            continue
        if size > 63:
            raise ValueError("no label")
        labels.append(re.sub(r"[^a-z0-9_-]", "?", message[at + 1 : at + 1 + size].decode("latin-1").lower()))  # fmt: skip
        at += size + 1
    return ".".join(labels)[:253], after or at + 1


def question(message):
    """The name that a message of DNS asks for, or "" where it asks nothing."""
    if len(message) < 17 or message[2] & 0x80 or message[4:6] == b"\0\0":
        return ""
    return _name(message, 12)[0]


def answer(message):
    """(name that was asked for, addresses that it leads to) of a message of DNS."""
    if len(message) < 17 or not message[2] & 0x80:
        return "", []
    asked, at = _name(message, 12)
    at, found = at + 4, []
    for _ in range(min(int.from_bytes(message[6:8], "big"), 100)):
        at = _name(message, at)[1]
        kind, size = struct.unpack_from(">H6xH", message, at)
        if (kind, size) in ((1, 4), (28, 16)):
            found.append(str(ipaddress.ip_address(message[at + 10 : at + 14 + (12 if kind == 28 else 0)])))  # fmt: skip
        at += 10 + size
    return asked, found


def server_name(hello):
    """The name in the first message of TLS, or ""."""
    if len(hello) < 47 or hello[0] != 22 or hello[5] != 1:
        return ""
    at = 43
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at]
    end = min(at + 2 + int.from_bytes(hello[at : at + 2], "big"), len(hello))
    at += 2
    while at + 4 <= end:
        kind, size = struct.unpack_from(">HH", hello, at)
        if kind == 0:
            inner = hello[at + 9 : at + 9 + int.from_bytes(hello[at + 7 : at + 9], "big")]
            return re.sub(r"[^a-z0-9._-]", "?", inner.decode("latin-1").lower())[:253]
        at += 4 + size
    return ""


REQUEST = re.compile(rb"(?:CONNECT |(?:GET|HEAD|POST) https?://)(?:[^\s/@]*@)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")  # fmt: skip
"""How a proxy is asked for somebody else."""


@lru_cache(MOST)
def outside(address):
    """Whether a packed address is one of the Internet."""
    held = ipaddress.ip_address(address)
    return held.is_global and not held.is_multicast


# ---------------------------------------------------------------------------------------------- who it was


class Owners:
    """Local ports -> the unit and the command that hold them, by /proc; a few looks a second at most."""

    def __init__(self):
        self.sockets, self.pids, self.budget, self.second = Recent(), [], 0, 0

    def of(self, protocol, address, port):
        """(unit or "", command or "") of the socket at a local port."""
        for inode in self._inodes(protocol, address, port):
            held = self.sockets.get(inode) or self._holder(inode)
            if held:
                self.sockets[inode] = held
                return held
        return "", ""

    @staticmethod
    def _inodes(protocol, address, port):
        found = []
        wanted = "".join(address[at : at + 4][::-1].hex() for at in range(0, len(address), 4)).upper()  # fmt: skip
        for name in ("tcp", "tcp6") if protocol == TCP else ("udp", "udp6"):
            try:
                lines = Path("/proc/net", name).read_text("utf-8").splitlines()[1:]
            except OSError:
                continue
            for line in lines:
                parts = line.split()
                where, _, number = parts[1].rpartition(":")
                wild = set(where) == {"0"}
                if int(number, 16) == port and parts[9] != "0" and (wild or where.endswith(wanted)):
                    found.append((wild, parts[9]))
        return [inode for _, inode in sorted(found)]

    def _holder(self, inode):
        for pid in self.pids:
            if held := self._held(pid, inode):
                return held
        now = int(time.monotonic())
        if now != self.second:
            self.second, self.budget = now, 10
        if not self.budget:
            return None
        self.budget -= 1
        for pid in os.listdir("/proc"):  # noqa: PTH208 - names alone
            if pid.isdigit() and (held := self._held(pid, inode)):
                self.pids = [pid, *self.pids][:20]
                return held
        return None

    @staticmethod
    def _held(pid, inode):
        try:
            with os.scandir(f"/proc/{pid}/fd") as files:
                if not any(os.readlink(each.path) == f"socket:[{inode}]" for each in files):  # noqa: PTH115 - many
                    return None
            units = re.findall(
                r"([^/\s]+\.service)", Path(f"/proc/{pid}/cgroup").read_text("utf-8")
            )
            return (units or [""])[-1], Path(f"/proc/{pid}/comm").read_text("utf-8").strip()
        except OSError:
            return None


class Recent(OrderedDict):
    """A dictionary that forgets the oldest above MOST."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > MOST:
            self.popitem(last=False)


# ---------------------------------------------------------------------------------------------- recording


class Recorder:
    """Packets -> lines of a file. `served`: [(first, last, unit)]."""

    def __init__(self, file, host, served=(), owners=None):
        self.file, self.host, self.served, self.owners = file, host, served, owners or Owners()
        self.written, self.flows, self.theirs, self.pending, self.names = (Recent() for _ in range(5))  # fmt: skip
        self.lines = self.lost = self.garbled = self.people = 0

    def packet(self, data, protocol, outgoing):
        """One packet, whatever is in it."""
        try:
            self._packet(data, 4 if protocol == 0x0800 else 6, outgoing)
        except (ValueError, IndexError, struct.error):
            self.garbled += 1

    def _packet(self, data, version, outgoing):
        source, target, protocol, payload = transport(data, version)
        if protocol == TCP:
            self._tcp(source, target, payload, outgoing)
        elif protocol == UDP:
            self._udp(source, target, payload, outgoing)
        elif outgoing and outside(target) and (protocol not in (ICMP, ICMP6) or payload[0] in (8, 128)):  # fmt: skip
            self._flow(protocol, source, 0, target, 0)

    def _tcp(self, source, target, payload, outgoing):
        local, remote = struct.unpack_from(">HH", payload)
        flags, body = payload[13], payload[(payload[12] >> 4) * 4 :]
        key = (source, local, target, remote)
        if not outgoing:
            if local == 53 and body:
                self._answered(body[2:])
            return
        if flags & 0x12 == 2 and outside(target) and (target, remote) not in self.flows:
            self.flows[target, remote] = True
            self.pending[key] = (time.monotonic() + PATIENCE, self._who(TCP, source, local))
        if not body:
            return
        if remote == 53:
            self._asked(TCP, source, local, target, body)
        elif body[0] == 22:
            self._named(key, server_name(body), remote)
        elif asked := REQUEST.match(body):
            self._named(key, asked[1].decode().lower().strip("[]"), int(asked[2] or 0), by_proxy=True)  # fmt: skip

    def _named(self, key, name, port, by_proxy=False):
        """A connection says for whom it is. A proxy's own address says nothing of where the request goes."""
        source, local, target, remote = key
        _, who = self.pending.get(key, (0, None))
        if name and (name, target, remote) not in self.flows:
            self.flows[name, target, remote] = True
            who = who or self._who(TCP, source, local)
            self._write(who, "" if by_proxy else _end(target, port), name)
            if not by_proxy:
                self.pending.pop(key, None)
        elif name and not by_proxy:
            self.pending.pop(key, None)

    def _udp(self, source, target, payload, outgoing):
        local, remote = struct.unpack_from(">HH", payload)
        if not outgoing:
            if local == 53:
                self._answered(payload[8:])
            elif (target, remote, source, local) not in self.flows:
                self.theirs[target, remote, source, local] = True
            return
        if remote == 53:
            self._asked(UDP, source, local, target, payload[8:])
        key = (source, local, target, remote)
        if key not in self.flows and key not in self.theirs and outside(target):
            self.flows[key] = True
            self._flow(UDP, source, local, target, remote)

    def _flow(self, protocol, source, local, target, remote):
        if (target, remote, protocol) in self.flows:
            return
        who = self._who(protocol, source, local) if local else ""
        if any(first <= local <= last and who.startswith(unit) for first, last, unit in self.served):  # fmt: skip
            self.people += 1
            return
        self.flows[target, remote, protocol] = True
        self._write(who, _end(target, remote), self.names.get(str(ipaddress.ip_address(target)), ""))  # fmt: skip

    def _asked(self, protocol, source, local, target, message):
        """The server that is asked is no place that the name leads to: it is left out here, and a flow of its own where it is outside."""
        # over TCP two bytes of length stand before it, or came in a segment of their own: read so, the other form asks nothing
        name = (protocol == TCP and question(message[2:])) or question(message)
        if name and (name, target) not in self.flows:
            self.flows[name, target] = True
            self._write(self._who(protocol, source, local), "", name)

    def _answered(self, message):
        name, addresses = answer(message)
        for each in addresses:
            self.names[each] = name

    def _who(self, protocol, address, port):
        unit, command = self.owners.of(protocol, address, port)
        return f"{unit} ({command})" if unit else command

    def tick(self, all_=False):
        """Write connections whose name did not come."""
        now = time.monotonic()
        while self.pending:
            key, (limit, who) = next(iter(self.pending.items()))
            if limit > now and not all_:
                return
            del self.pending[key]
            self._write(who, _end(*key[2:]), self.names.get(str(ipaddress.ip_address(key[2])), ""))

    def _write(self, who, destination, name):
        if (who, destination, name) in self.written:
            return
        self.written[who, destination, name] = True
        if self.lines >= MOST_LINES:
            self.lost += 1
            return
        self.lines += 1
        self._line({"process": who, "destination": destination, "name": name})

    def _line(self, said):
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.file.write(json.dumps({"time": when, "host": self.host, **said}) + "\n")
        self.file.flush()

    def close(self, dropped=0):
        """The rest; and how much was not seen, where it was not all."""
        self.tick(all_=True)
        if dropped + self.lost:
            self._line({"lost": dropped + self.lost})


def _end(address, port):
    held = ipaddress.ip_address(address)
    shown = f"[{held}]" if held.version == 6 else str(held)
    return f"{shown}:{port}" if port else str(held)


def dropped(listening):
    """Packets that the kernel could not hand over since the last look."""
    return struct.unpack("II", listening.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]


def ephemeral():
    """The ports that the kernel gives to whoever does not ask for one."""
    try:
        first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("utf-8").split()
    except (OSError, ValueError):
        return 32768, 60999
    return int(first), int(last)


def ports(text):
    """`10000:unit` or `49152-65535:unit`."""
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?:([\w.@\\-]+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST-LAST:UNIT")
    return int(found[1]), int(found[2] or found[1]), found[3]


def main(words):
    """Record until the time is over or SIGTERM."""
    reader = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    reader.add_argument("file")
    reader.add_argument("--host", default=socket.gethostname())
    reader.add_argument("--seconds", type=float, default=0.0)
    reader.add_argument("--served", type=ports, action="append", default=[])
    asked = reader.parse_args(words)
    ended = []
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, lambda *_: ended.append(True))
    low, high = ephemeral()
    listening = listen([(first, last) for first, last, _ in asked.served if last < low or first > high])  # fmt: skip
    until = time.monotonic() + asked.seconds if asked.seconds else float("inf")
    with os.fdopen(os.open(asked.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:  # fmt: skip
        recorder = Recorder(file, asked.host, asked.served)
        print("listens", file=sys.stderr, flush=True)
        while not ended and time.monotonic() < until:
            if select.select([listening], [], [], 0.25)[0]:
                _read(listening, recorder)
            recorder.tick()
        _read(listening, recorder)
        recorder.close(dropped(listening))
    print(f"{recorder.lines} lines, {recorder.lost} too many, {recorder.garbled} garbled packets, {recorder.people} flows of people", file=sys.stderr)  # fmt: skip


def _read(listening, recorder):
    """What is there, but not for ever."""
    for _ in range(2000):
        try:
            data, (_, protocol, kind, *_) = listening.recvfrom(SNAP, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:  # an interface went down
            return
        recorder.packet(data, protocol, kind == OUTGOING)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Listeners on host one, declared and not: TCP, UDP that echoes, and TLS with the host's certificate."""

import socket
import ssl
import threading


def tcp(port, tls=None):
    made = socket.create_server(("0.0.0.0", port))
    while True:
        held, _ = made.accept()
        try:
            held.settimeout(5)
            (tls.wrap_socket(held, server_side=True) if tls else held).close()
        except OSError:
            held.close()


def udp(port):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("0.0.0.0", port))
    while True:
        data, peer = made.recvfrom(100)
        made.sendto(data, peer)


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(
    "/etc/ssl/suite/one.town.example.crt", "/etc/ssl/suite/one.town.example.key"
)
jobs = [(tcp, 8000), (tcp, 8003), (tcp, 8099), (udp, 8002), (udp, 8004), (tcp, 443, context)]
threads = [threading.Thread(target=job, args=rest) for job, *rest in jobs]
for each in threads:
    each.start()

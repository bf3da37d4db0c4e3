"""An AWS to try things on: moto in this process on 127.0.0.1, filled with a believable company."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from toolkit.demo.company import MAIN, PARTNER, Company, fill

__all__ = ["Aws", "Company", "embedded_aws", "fill"]


@dataclass(frozen=True, slots=True)
class Aws:
    """Where the embedded AWS listens, with throw-away credentials made for this run."""

    endpoint_url: str
    environment: dict[str, str]
    recorded: tuple[str, ...]


@contextmanager
def embedded_aws() -> Iterator[Aws]:
    """Start an empty AWS; it ends with the block."""
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    # certificates that nobody validated stay so, however long the reading takes
    os.environ["MOTO_ACM_VALIDATION_WAIT"] = "86400"
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    from toolkit.demo.recorded import SERVICES, accounts, with_recorded

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: object) -> None:
            """Requests are counted by who makes them."""

    key = f"AKIA{secrets.token_hex(8).upper()}"
    app = with_recorded(DomainDispatcherApplication(create_backend_app), key)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, name="embedded-aws", daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        _reset(url)
        environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20),
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with accounts((MAIN, PARTNER)):
            yield Aws(url, environment, SERVICES)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def _reset(url: str) -> None:
    import urllib.request

    request = urllib.request.Request(f"{url}/moto-api/reset", method="POST")  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass

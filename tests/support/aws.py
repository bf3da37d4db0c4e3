"""Orders of a test -> an AWS (moto) in a child process on 127.0.0.1 that delays, refuses or garbles answers."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.serve import serving

MAIN = "123456789012"
REGION = "eu-central-1"


@dataclass(frozen=True)
class Server:
    """The child process, as a test sees it."""

    url: str

    def order(
        self,
        *,
        delay: float = 0.0,
        faults: Iterable[dict[str, Any]] = (),
        rewrite: Iterable[tuple[str, str]] = (),
    ) -> None:
        """From now on: seconds before each answer, faults, and (pattern, text) put into bodies.

        A fault has `contains` (in the target, path, query or body), and `status`, `body`, `times`.
        """
        said = {"delay": delay, "faults": list(faults), "rewrite": list(rewrite)}
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}/_test", data=json.dumps(said).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.url)


def environment(url: str) -> dict[str, str]:
    """What a process needs to take `url` for AWS, and nothing of the user's own AWS."""
    nowhere = "/nonexistent"
    return {
        "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST", "AWS_SECRET_ACCESS_KEY": "x" * 40,
        "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
    }  # fmt: skip


@contextmanager
def server() -> Iterator[Server]:
    """An empty AWS in a child process; it ends with the block."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.aws"],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "MOTO_EC2_LOAD_DEFAULT_AMIS": "false"},
    )
    try:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), "the child did not start"
        yield Server(url)
    finally:
        child.kill()
        child.communicate()


class Disturbed:
    """A WSGI application that does what it was ordered before or instead of what it wraps."""

    def __init__(self, inner: Callable[..., Iterable[bytes]]) -> None:
        self.inner = inner
        self.orders: dict[str, Any] = {}
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        data = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if environ["PATH_INFO"] == "/_test":
            self.orders = json.loads(data)
            start("204 No Content", [])
            return []
        environ["wsgi.input"] = io.BytesIO(data)
        seen = " ".join(
            [environ.get("HTTP_X_AMZ_TARGET", ""), environ["PATH_INFO"], environ["QUERY_STRING"]]
        )
        seen += data.decode("utf-8", "replace")
        time.sleep(self.orders.get("delay", 0))
        with self.lock:
            for fault in self.orders.get("faults", ()):
                if fault["contains"] in seen and fault.get("times", 1) > 0:
                    if "times" in fault:
                        fault["times"] -= 1
                    body = fault["body"].encode()
                    kind = "text/xml" if body.startswith(b"<") else "application/x-amz-json-1.1"
                    start(
                        f"{fault['status']} Fault",
                        [("Content-Type", kind), ("Content-Length", str(len(body)))],
                    )
                    return [body]
        rewrite = self.orders.get("rewrite", ())
        if not rewrite:
            return self.inner(environ, start)
        held: list[Any] = []
        answer = self.inner(environ, lambda *args: held.append(args))
        text = b"".join(answer).decode("utf-8", "replace")
        for pattern, put in rewrite:
            text = re.sub(pattern, put, text, flags=re.DOTALL)
        body = text.encode()
        status, headers = held[0][0], held[0][1]
        headers = [(k, v) for k, v in headers if k.lower() != "content-length"]
        start(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]


def xml(code: str) -> str:
    """An error as EC2 and the query protocol of older services write it."""
    return f"<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors><Error><Code>{code}</Code></Error></Response>"


def serve(app: Callable[..., Any]) -> Any:
    """A quiet threaded server for an application on a free port of 127.0.0.1."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: object) -> None:
            """Nobody reads it."""

    return make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)


def _main() -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    from toolkit.demo.recorded import with_recorded

    made = serve(Disturbed(with_recorded(DomainDispatcherApplication(create_backend_app))))
    with serving(made):
        print(f"http://127.0.0.1:{made.server_port}", flush=True)
        sys.stdin.read()  # ends with the parent, whatever became of it


if __name__ == "__main__":
    _main()

"""A language plugin that runs nothing: `pulumi import` will not begin without one, though no program is run or written.

Started by the engine as `pulumi-language-python`; it says its port on stdout and serves until its stdin or its parent ends.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent import futures

import grpc  # type: ignore[import-untyped]
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2_grpc


def main() -> None:
    """Serve, as the engine expects it of a plugin."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(lambda: None), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.2)
    server.stop(0)


if __name__ == "__main__":
    main()
    sys.exit(0)

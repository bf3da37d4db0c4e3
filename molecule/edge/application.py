"""A small application behind the edge: says what it was asked, speaks enough WebSocket to agree to one."""

import base64
import hashlib
import http.server
import json


class Application(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        size = len(self.rfile.read(length))
        if self.headers.get("Upgrade", "").lower() == "websocket":
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header(
                "Sec-WebSocket-Accept",
                base64.b64encode(hashlib.sha1(key.encode()).digest()).decode(),
            )
            self.end_headers()
            self.close_connection = True
            return
        body = json.dumps(
            {
                "path": self.path,
                "size": size,
                "headers": {n.lower(): v for n, v in self.headers.items()},
            }
        ).encode()
        self.send_response(503 if self.path == "/own-503" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Frame-Options", "ALLOWALL")
        self.send_header("X-Powered-By", "application")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET


http.server.ThreadingHTTPServer(("0.0.0.0", 8444), Application).serve_forever()

"""Double of AWS' instance metadata service, version 2: it wants a token, and announces what a test says."""

from __future__ import annotations

import http.server
import threading
from typing import Any

NOTICE = '{"action": "terminate", "time": "2026-11-28T15:02:00Z"}'
TOKEN = "secret"


class Metadata:
    """A service that answers while its context is open."""

    def __init__(self) -> None:
        self.announced = ""
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Metadata:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                wanted = int(self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "0"))
                self.answer(200 if self.path == "/latest/api/token" and wanted > 0 else 400, TOKEN)

            def do_GET(self) -> None:
                if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
                    self.answer(401)
                elif self.path == "/latest/meta-data/spot/instance-action" and service.announced:
                    self.answer(200, service.announced)
                else:
                    self.answer(404)

            def answer(self, status: int, content: str = "") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

"""A collector of traces: a real OTLP/HTTP receiver in this process, which decodes what it is sent."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pagemill.settings import Settings
from pagemill.tracing.configuration import close_tracing, configure_tracing
from pagemill.tracing.receiving import ReceivedSpan, spans_of


@dataclass(slots=True)
class Collector:
    """Receiver of spans; it answers all requests with ``status``."""

    url: str
    status: int = 200
    spans: list[ReceivedSpan] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    """Headers, with names in lower case, and the path as ``:path``."""
    bodies: list[bytes] = field(default_factory=list)
    """All that was sent, to look for what must not be there."""

    def of_trace(self, trace_id: str) -> list[ReceivedSpan]:
        """The spans of one trace, in the order of their beginnings."""
        return sorted(
            (span for span in list(self.spans) if span.trace_id == trace_id), key=lambda one: one.start
        )

    def named(self, name: str) -> list[ReceivedSpan]:
        """The spans with a name."""
        return [span for span in list(self.spans) if span.name == name]

    def one(self, name: str) -> ReceivedSpan:
        """The span with a name, of which there is one."""
        (found,) = self.named(name)
        return found


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a port of this machine."""
    collector = Collector("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.requests.append(
                {":path": self.path, **{name.lower(): value for name, value in self.headers.items()}}
            )
            if collector.status == 200:
                collector.bodies.append(body)
                collector.spans += spans_of(body, is_packed=self.headers.get("Content-Encoding") == "gzip")
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def tracing_settings(url: str) -> Settings:
    """Settings of a process that records what it does for a collector."""
    return Settings(database_url="postgresql://unused", objects_url="file:///unused", traces_url=url)


@contextlib.contextmanager
def recording(collector: Collector, service: str = "test") -> Iterator[None]:
    """Record the spans of this process; at the end the collector has all of them."""
    configure_tracing(tracing_settings(collector.url), service)
    try:
        yield
    finally:
        close_tracing()

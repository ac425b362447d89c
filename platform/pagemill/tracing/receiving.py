"""Receiver of traces by OTLP over HTTP, for one terminal: it keeps nothing."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

MOST_BYTES = 64 * 1024 * 1024
GZIP = 16 + zlib.MAX_WBITS


class ReceivedSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A span as it has arrived; times in seconds, ids in hexadecimal, ``parent_id`` empty at the root."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    start: float
    end: float
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    failed: bool


@contextlib.contextmanager
def receiving(host: str, port: int, take: Callable[[list[ReceivedSpan]], None]) -> Iterator[str]:
    """Receive spans, from several threads, and yield the URL for them. Raises OSError."""
    handler = type("Handler", (_Handler,), {"take": staticmethod(take)})
    with ThreadingHTTPServer((host, port), handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30.0
    take: Callable[[list[ReceivedSpan]], None]

    def do_POST(self) -> None:
        """Take the spans of a request."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > MOST_BYTES:
            self._answer(413)
            return
        body = self.rfile.read(length)
        try:
            self.take(spans_of(body, is_packed=self.headers.get("Content-Encoding") == "gzip"))
        except ValueError:
            self._answer(400)
        else:
            self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of single requests."""


def spans_of(body: bytes, *, is_packed: bool = False) -> list[ReceivedSpan]:
    """Return the spans in the body of a request. Raises ValueError for what is none."""
    try:
        unpacked = zlib.decompressobj(GZIP).decompress(body, MOST_BYTES) if is_packed else body
        request = ExportTraceServiceRequest.FromString(unpacked)
    except (DecodeError, zlib.error) as error:
        raise ValueError("no request of OTLP") from error
    return [
        _received(span, str(_attributes(resource.resource.attributes).get("service.name", "")))
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _received(span: Span, service: str) -> ReceivedSpan:
    return ReceivedSpan(
        service=service,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        state=span.trace_state,
        start=span.start_time_unix_nano / 1e9,
        end=span.end_time_unix_nano / 1e9,
        attributes=_attributes(span.attributes),
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        failed=span.status.code == Status.STATUS_CODE_ERROR,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}

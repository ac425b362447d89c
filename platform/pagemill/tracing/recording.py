"""Recording and export of spans with OpenTelemetry's SDK, in the background and within bounds.

The exporter takes what an operator may set from the environment: OTEL_EXPORTER_OTLP_HEADERS, which can hold a
secret, certificates and compression; so does the SDK with OTEL_RESOURCE_ATTRIBUTES and OTEL_BSP_*.
"""

from __future__ import annotations

import datetime
import logging
import os
import socket
import threading
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OpenTelemetrySpan

from pagemill import __version__
from pagemill.tracing import spans
from pagemill.tracing.context import TraceContext

EXPORT_SECONDS = 5.0
"""Longest time for one export, with its repetitions; meanwhile spans wait in the queue."""
BATCH_SECONDS = 1.0
"""Longest time that a span waits for others: what a process that is killed can lose."""
LONGEST_ATTRIBUTE = 256

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}

logger = logging.getLogger(__name__)


class RecordedSpan:
    """A span of OpenTelemetry."""

    __slots__ = ("_span",)

    def __init__(self, span: OpenTelemetrySpan) -> None:
        self._span = span

    @property
    def context(self) -> TraceContext:
        """Context of what belongs to the span."""
        context = self._span.get_span_context()
        return TraceContext(
            f"{context.trace_id:032x}", f"{context.span_id:016x}", True, context.trace_state.to_header()
        )

    def rename(self, name: str) -> None:
        """Give the span another name."""
        self._span.update_name(name)

    def set(self, attributes: spans.Attributes) -> None:
        """Add attributes."""
        for name, value in attributes.items():
            self._span.set_attribute(name, value)

    def link(self, other: TraceContext) -> None:
        """Add a link to a span that is not its ancestor."""
        self._span.add_link(_span_context(other, is_remote=True))

    def fail(self, error_type: str) -> None:
        """Mark what the span stands for as failed."""
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(StatusCode.ERROR)

    def end(self, at: datetime.datetime | None = None) -> None:
        """End the span, now or at another time."""
        self._span.end(None if at is None else _nanoseconds(at))


class OpenTelemetryRecorder:
    """Recorder that exports to a collector by OTLP over HTTP, from a thread of its own.

    Spans wait in a queue of 2,048 (OTEL_BSP_MAX_QUEUE_SIZE); while the collector is away the oldest are
    dropped. Whether to record has been decided before: all that is started here is exported.
    """

    def __init__(self, endpoint: str, service: str) -> None:
        self._exporter = ReportingExporter(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_SECONDS))
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create(
                {
                    "service.name": service,
                    "service.namespace": "pagemill",
                    "service.version": __version__,
                    "host.name": socket.gethostname(),
                    "process.pid": os.getpid(),
                }
            ),
            # Whoever starts a process closes the recorder.
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_span_attribute_length=LONGEST_ATTRIBUTE),
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(self._exporter, schedule_delay_millis=1000 * BATCH_SECONDS)
        )
        self._tracer = self._provider.get_tracer("pagemill", __version__)

    def start(
        self,
        name: str,
        *,
        parent: TraceContext | None,
        is_remote: bool,
        kind: spans.SpanKind,
        attributes: spans.Attributes | None,
        at: datetime.datetime | None = None,
    ) -> RecordedSpan:
        """Start a span, of a new trace without a parent; ``is_remote`` says that its parent is elsewhere."""
        above = None if parent is None else NonRecordingSpan(_span_context(parent, is_remote=is_remote))
        return RecordedSpan(
            self._tracer.start_span(
                name,
                # Never the context of OpenTelemetry itself, which other libraries may set.
                context=set_span_in_context(above or NonRecordingSpan(_NO_SPAN)),
                kind=_KINDS[kind],
                attributes={name: value for name, value in (attributes or {}).items()},
                start_time=None if at is None else _nanoseconds(at),
                record_exception=False,
                set_status_on_exception=False,
            )
        )

    def close(self, seconds: float) -> None:
        """Export what waits, within some seconds; blocks. Nothing is exported afterwards."""
        # The provider itself would wait for half a minute.
        closing = threading.Thread(target=self._provider.shutdown, name="close traces", daemon=True)
        closing.start()
        closing.join(seconds)
        self._exporter.shutdown()


class ReportingExporter(SpanExporter):
    """Exporter that logs once that a collector is away, and once that it is back."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(_last_message)
        self._lost = 0
        self._closed = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans; those that cannot be are lost."""
        if self._closed.is_set():
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        if self._closed.is_set():
            return result
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                logger.warning("traces are exported again; %d spans are lost", self._lost)
            self._lost = 0
        else:
            if not self._lost:
                logger.warning("traces are not exported, and lost: %s", _last_message.text)
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        """End an export that waits for its next try, and export nothing more."""
        if not self._closed.is_set():
            self._closed.set()
            self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return at once: nothing is kept here."""
        return True


class _LastMessage(logging.Filter):
    """Filter that keeps the last message of a logger and lets none pass: it has one for each try."""

    text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the message."""
        self.text = record.getMessage()
        return False


_last_message = _LastMessage()


_NO_SPAN = SpanContext(0, 0, is_remote=False)


def _span_context(context: TraceContext, *, is_remote: bool) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=is_remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState.from_header([context.state]) if context.state else None,
    )


def _nanoseconds(time: datetime.datetime) -> int:
    return (time - _EPOCH) // datetime.timedelta(microseconds=1) * 1000

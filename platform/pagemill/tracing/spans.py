"""Spans of the trace that is active here. Without a recorder each costs a look at a variable.

Nothing of OpenTelemetry is imported here: ``pagemill.tracing.recording`` does that where traces are recorded.
Spans tell operators who and what for, by ids, and how long. They hold nothing of documents, no names that
people have given, no values and no messages of errors: ``AttributeName`` lists all that they can hold.
"""

from __future__ import annotations

import contextvars
import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Literal, Protocol, TypeAlias

from pagemill.tracing.context import TraceContext, decode_context

SpanKind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
AttributeName: TypeAlias = Literal[
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "pagemill.batch.size",
    "pagemill.document.pages",
    "pagemill.job.attempt",
    "pagemill.job.id",
    "pagemill.job.kind",
    "pagemill.job.outcome",
    "pagemill.organization.id",
    "pagemill.page.source",
    "pagemill.reading.lane",
    "pagemill.subject.id",
    "pagemill.training.workers",
]
Attributes: TypeAlias = Mapping[AttributeName, str | int | float | bool]

MOST_LINKS = 16
"""Links of one span to others of its batch; how many there are is an attribute."""


class Span(Protocol):
    """A span that is being recorded."""

    @property
    def context(self) -> TraceContext:
        """Context of what belongs to the span."""
        ...

    def rename(self, name: str) -> None:
        """Give the span another name."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        ...

    def link(self, other: TraceContext) -> None:
        """Add a link to a span that is not its ancestor."""
        ...

    def fail(self, error_type: str) -> None:
        """Mark what the span stands for as failed."""
        ...

    def end(self, at: datetime.datetime | None = None) -> None:
        """End the span, now or at another time."""
        ...


class Recorder(Protocol):
    """Recorder of the spans of this process."""

    def start(
        self,
        name: str,
        *,
        parent: TraceContext | None,
        is_remote: bool,
        kind: SpanKind,
        attributes: Attributes | None,
        at: datetime.datetime | None = None,
    ) -> Span:
        """Start a span, of a new trace without a parent; ``is_remote`` says that its parent is elsewhere."""
        ...

    def close(self, seconds: float) -> None:
        """Send what was recorded, within some seconds; blocks."""
        ...


class SpanHandle(Protocol):
    """Facts that a block of code tells of its span, recorded or not."""

    def rename(self, name: str) -> None:
        """Give the span another name."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        ...

    def fail(self, error_type: str) -> None:
        """Mark what the span stands for as failed."""
        ...


class _Unrecorded:
    """Block of code of which no span is recorded."""

    def __enter__(self) -> SpanHandle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def rename(self, name: str) -> None:
        """Do nothing."""

    def set(self, attributes: Attributes) -> None:
        """Do nothing."""

    def fail(self, error_type: str) -> None:
        """Do nothing."""


class _Recorded:
    """Block of code whose span is recorded, and active in it where ``activate`` says so."""

    __slots__ = ("_activate", "_span", "_token")

    def __init__(self, span: Span, *, activate: bool) -> None:
        self._span, self._activate = span, activate
        self._token: contextvars.Token[Span | TraceContext | None] | None = None

    def __enter__(self) -> SpanHandle:
        if self._activate:
            self._token = _active.set(self._span)
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _active.reset(self._token)
        if kind is not None:
            # The class alone: a message may hold what a document says.
            self._span.fail(kind.__name__)
        self._span.end()


_UNRECORDED = _Unrecorded()
_active: contextvars.ContextVar[Span | TraceContext | None] = contextvars.ContextVar(
    "pagemill_span", default=None
)
_recorder: Recorder | None = None


def record_with(recorder: Recorder | None) -> Recorder | None:
    """Record the spans of this process with another recorder, None for not any more; return the former."""
    global _recorder
    before, _recorder = _recorder, recorder
    return before


def is_recording() -> bool:
    """Return whether this process records spans."""
    return _recorder is not None


def span(
    name: str, attributes: Attributes | None = None, *, kind: SpanKind = "internal", activate: bool = True
) -> AbstractContextManager[SpanHandle]:
    """Record a block of code as part of the active trace, if there is one.

    Without ``activate`` spans in the block do not belong to this one, but are its siblings.
    """
    active = _active.get()
    if active is None or _recorder is None:
        return _UNRECORDED
    is_remote = isinstance(active, TraceContext)
    return _Recorded(
        _recorder.start(
            name,
            parent=active if isinstance(active, TraceContext) else active.context,
            is_remote=is_remote,
            kind=kind,
            attributes=attributes,
        ),
        activate=activate,
    )


def begin_trace(name: str, parent: TraceContext | None) -> AbstractContextManager[SpanHandle]:
    """Record a block of code that serves a request, in a trace that its client began or in a new one."""
    if _recorder is None:
        return _UNRECORDED
    started = _recorder.start(name, parent=parent, is_remote=True, kind="server", attributes=None)
    return _Recorded(started, activate=True)


def continue_trace(
    encoded: str | None, name: str, attributes: Attributes | None = None, *, kind: SpanKind = "internal"
) -> AbstractContextManager[SpanHandle]:
    """Record a block of code as part of a trace that came here with a row or a request, if one did."""
    context = _recorded_context(encoded)
    if context is None or _recorder is None:
        return _UNRECORDED
    started = _recorder.start(name, parent=context, is_remote=True, kind=kind, attributes=attributes)
    return _Recorded(started, activate=True)


@contextmanager
def within_trace(encoded: str | None) -> Iterator[None]:
    """Have spans in a block belong to a trace that came here, with no span for the block itself."""
    context = _recorded_context(encoded)
    if context is None:
        yield
        return
    token = _active.set(context)
    try:
        yield
    finally:
        _active.reset(token)


def record_past(
    encoded: str | None,
    name: str,
    attributes: Attributes,
    *,
    start: datetime.datetime,
    end: datetime.datetime,
) -> None:
    """Record what is over, as part of a trace that came here."""
    context = _recorded_context(encoded)
    if context is not None and _recorder is not None:
        past = _recorder.start(
            name, parent=context, is_remote=True, kind="internal", attributes=attributes, at=start
        )
        past.end(max(start, end))


def active_context() -> TraceContext | None:
    """Return the context of the active trace, None where there is none."""
    active = _active.get()
    return active if active is None or isinstance(active, TraceContext) else active.context


def context_to_send() -> str | None:
    """Return what rows and requests carry of the active trace, None where there is none."""
    context = active_context()
    return None if context is None else context.encode()


def active_trace_id() -> str | None:
    """Return the id of the active trace, None where there is none."""
    context = active_context()
    return None if context is None else context.trace_id


def active_span() -> Span | None:
    """Return the span that is recorded here now, None where there is none."""
    active = _active.get()
    return None if isinstance(active, TraceContext) else active


def set_on_active_span(attributes: Attributes) -> None:
    """Add attributes to the span that is recorded here now, if there is one."""
    recorded = active_span()
    if recorded is not None:
        recorded.set(attributes)


def link_batch(spans: Sequence[Span | None]) -> None:
    """Tell of work that several traces share: each span gets the size of the batch, and links to others."""
    recorded = [one for one in spans if one is not None]
    contexts = [one.context for one in recorded[: MOST_LINKS + 1]]
    for one in recorded:
        one.set({"pagemill.batch.size": len(spans)})
        for other in [context for context in contexts if context != one.context][:MOST_LINKS]:
            one.link(other)


def outside_of_trace() -> contextvars.Context | None:
    """Return a context for a task that outlives the active trace, or serves others; None where none is."""
    if _active.get() is None:
        return None
    context = contextvars.copy_context()
    context.run(_active.set, None)
    return context


def _recorded_context(encoded: str | None) -> TraceContext | None:
    if encoded is None or _recorder is None:
        return None
    context = decode_context(encoded)
    return context if context is not None and context.sampled else None

"""Traces as text: a line for each span, below the one that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pagemill.tracing.receiving import ReceivedSpan

INDENT = "  "
SHOWN = (
    "http.response.status_code",
    "pagemill.job.attempt",
    "pagemill.job.outcome",
    "pagemill.batch.size",
    "pagemill.document.pages",
    "pagemill.page.source",
    "pagemill.subject.id",
    "error.type",
)


def trace_lines(spans: Sequence[ReceivedSpan]) -> list[str]:
    """Return the lines of one trace: when each span began, how long it took, what it was and where.

    Times are in milliseconds, from the beginning of the first span.
    """
    began = min(span.start for span in spans)
    lines = [f"trace {spans[0].trace_id}", f"{'start':>10} {'ms':>10}"]
    for depth, span in _in_order(spans):
        times = f"{(span.start - began) * 1000:10.1f} {(span.end - span.start) * 1000:10.1f}"
        lines.append(_printable(f"{times}  {INDENT * depth}{span.name}  {_told_of(span)}"))
    return lines


def _told_of(span: ReceivedSpan) -> str:
    found = (
        f"{name.rpartition('.')[2]}={span.attributes[name]}" for name in SHOWN if name in span.attributes
    )
    told = " ".join([span.service.removeprefix("pagemill-"), *found])
    return f"[{told}] FAILED" if span.failed else f"[{told}]"


def _in_order(spans: Sequence[ReceivedSpan]) -> Iterator[tuple[int, ReceivedSpan]]:
    """Yield the spans with their depths, those of one parent by their beginnings."""
    known = {span.span_id for span in spans}
    below: dict[str, list[ReceivedSpan]] = {}
    for span in sorted(spans, key=lambda span: span.start, reverse=True):
        below.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    waiting = [(0, span) for span in below.pop("", [])]
    while waiting:
        depth, span = waiting.pop()
        yield depth, span
        waiting += [(depth + 1, child) for child in below.pop(span.span_id, [])]


def _printable(line: str) -> str:
    """Return a line that changes nothing of the terminal."""
    return "".join(character if character.isprintable() else "?" for character in line)

"""``pagemill traces``: a collector for a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import msgspec
import pytest

from examples.local_stack import without_settings
from pagemill.commands import traces
from pagemill.commands.traces import WaitingTraces
from pagemill.tracing.configuration import close_tracing, configure_tracing
from pagemill.tracing.receiving import ReceivedSpan, receiving
from pagemill.tracing.spans import active_trace_id, begin_trace, span
from pagemill.tracing.trees import trace_lines
from tests.support.collector import tracing_settings


def received(name: str, span_id: str, parent_id: str, start: float, end: float) -> ReceivedSpan:
    return ReceivedSpan(
        service="pagemill-api",
        name=name,
        kind="internal",
        trace_id="t",
        span_id=span_id,
        parent_id=parent_id,
        state="",
        start=start,
        end=end,
        attributes={},
        links=[],
        failed=False,
    )


def test_a_trace_is_a_tree_in_the_order_of_time() -> None:
    spans = [
        received("late child", "c", "a", 100.2, 100.3),
        received("grandchild", "d", "b", 100.15, 100.16),
        received("early child", "b", "a", 100.1, 100.2),
        msgspec.structs.replace(
            received("root", "a", "of the client", 100.0, 100.5),
            failed=True,
            attributes={"http.response.status_code": 503, "http.route": "/"},
        ),
    ]
    title, _, *lines = trace_lines(spans)
    assert title == "trace t"
    assert [line.split() for line in lines] == [
        ["0.0", "500.0", "root", "[api", "status_code=503]", "FAILED"],
        ["100.0", "100.0", "early", "child", "[api]"],
        ["150.0", "10.0", "grandchild", "[api]"],
        ["200.0", "100.0", "late", "child", "[api]"],
    ]
    assert [len(line) - len(line.lstrip()) for line in (line[21:] for line in lines)] == [2, 4, 6, 4]


def test_hostile_spans_end_and_change_nothing_of_the_terminal() -> None:
    own_parent = received("\x1b[31mred\nline", "a", "a", 1.0, 2.0)
    assert trace_lines([own_parent])[2:] == []
    lines = trace_lines([received("\x1b[31mred\nline", "a", "", 1.0, 2.0)])
    assert "?[31mred?line" in lines[2]


def test_a_trace_is_complete_when_nothing_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    waiting = WaitingTraces()
    one, two = received("one", "a", "", 1.0, 2.0), received("two", "b", "a", 1.0, 2.0)
    waiting.add([one])
    now += 2.0
    waiting.add([two])
    now += 2.0
    assert waiting.take_complete() == []
    now += 1.0
    assert waiting.take_complete() == [[one, two]]
    assert waiting.take_complete() == []


def test_what_nobody_takes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "MOST_SPANS", 10)
    monkeypatch.setattr(traces, "QUIET_SECONDS", 0.0)
    waiting = WaitingTraces()
    for number in range(25):
        waiting.add([msgspec.structs.replace(received("one", "a", "", 1.0, 2.0), trace_id=str(number))])
    assert [spans[0].trace_id for spans in waiting.take_complete()] == [
        str(number) for number in range(15, 25)
    ]


def test_what_is_no_trace_is_refused() -> None:
    taken: list[ReceivedSpan] = []
    with receiving("127.0.0.1", 0, taken.extend) as url:
        for body, headers in ((b"no protobuf", {}), (b"no gzip", {"Content-Encoding": "gzip"})):
            request = urllib.request.Request(f"{url}/v1/traces", body, headers)
            with pytest.raises(urllib.error.HTTPError, match="400") as refused:
                urllib.request.urlopen(request, timeout=60)
            refused.value.close()
    assert taken == []


def test_the_command_shows_what_is_sent_to_it() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pagemill.cli", "traces", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=without_settings(os.environ) | {"PYTHONUNBUFFERED": "1"},
    )
    watchdog = threading.Timer(200, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        name, _, url = process.stdout.readline().strip().partition("=")
        assert name == "PAGEMILL_TRACES_URL"
        configure_tracing(tracing_settings(url), "api")
        with begin_trace("GET /v1/documents", None), span("answer"):
            trace_id = active_trace_id()
        close_tracing()
        lines = [process.stdout.readline().rstrip() for _ in range(4)]
        assert lines[0] == f"trace {trace_id}"
        assert lines[2].endswith("  GET /v1/documents  [api]")
        assert lines[3].endswith("    answer  [api]")
    finally:
        process.terminate()
        process.communicate()
        watchdog.cancel()

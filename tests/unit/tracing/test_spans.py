"""Spans as they arrive at a collector; where nothing is recorded there are none, and nothing is imported."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import get_args

import pytest

from pagemill.batching import Batcher
from pagemill.logging_setup import JsonFormatter
from pagemill.tracing import spans
from pagemill.tracing.context import TraceContext
from pagemill.tracing.spans import (
    MOST_LINKS,
    active_trace_id,
    begin_trace,
    context_to_send,
    continue_trace,
    outside_of_trace,
    record_past,
    span,
    within_trace,
)
from tests.support.collector import Collector, collecting, recording

SENT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True, "vendor=value")
UNSAMPLED = TraceContext(SENT.trace_id, SENT.span_id, sampled=False)
UTC = datetime.UTC


def test_nothing_is_recorded_and_nothing_made_without_a_recorder() -> None:
    blocks = [
        span("a"),
        begin_trace("GET", SENT),
        continue_trace(SENT.encode(), "run"),
        continue_trace(None, "run"),
    ]
    assert len({id(block) for block in blocks}) == 1
    with blocks[0] as handle, within_trace(SENT.encode()):
        handle.set({"http.route": "/"})
        handle.rename("b")
        handle.fail("Error")
        assert (active_trace_id(), context_to_send(), outside_of_trace()) == (None, None, None)
    record_past(SENT.encode(), "queue", {}, start=datetime.datetime.now(UTC), end=datetime.datetime.now(UTC))


PROGRAM = """
import sys
import pagemill.api.app, pagemill.jobs.dispatcher, pagemill.work.kinds, pagemill.batching
from pagemill.settings import Settings
from pagemill.tracing.configuration import close_tracing, configure_tracing
LOADED = ("opentelemetry.sdk", "opentelemetry.trace", "opentelemetry.exporter", "pagemill.tracing.recording")
settings = Settings(database_url="postgresql://unused", objects_url="file:///unused", token_key="k" * 32,
                    secret_keys=sys.argv[1])
app = pagemill.api.app.create_app(settings)
configure_tracing(settings, "api")
close_tracing()
print(",".join(name for name in sys.modules if name.startswith(LOADED)))
"""


def test_nothing_of_the_sdk_is_imported_while_nothing_is_traced() -> None:
    from pagemill.secret_box import new_secret_key

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, new_secret_key("test")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == ""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Whatever a test records is there when ``recording`` is left."""
    with collecting() as found:
        yield found


def test_a_trace_of_a_client_goes_on_through_rows_and_processes(collector: Collector) -> None:
    with recording(collector, "api"):
        with begin_trace("POST", SENT) as request:
            with span("submit", activate=False):
                sent = context_to_send()
            request.rename("POST /v1/predictions")
            request.set({"http.response.status_code": 200})
        with continue_trace(sent, "run", {"pagemill.job.attempt": 2}, kind="consumer"), span("read"):
            pass
    request_span, submit, run, read = (
        collector.one(name) for name in ("POST /v1/predictions", "submit", "run", "read")
    )
    assert {one.trace_id for one in collector.spans} == {SENT.trace_id}
    assert [one.parent_id for one in (request_span, submit, run, read)] == [
        SENT.span_id,
        request_span.span_id,
        request_span.span_id,
        run.span_id,
    ]
    assert [one.kind for one in (request_span, submit, run, read)] == [
        "server",
        "internal",
        "consumer",
        "internal",
    ]
    assert {one.state for one in collector.spans} == {"vendor=value"}
    assert {one.service for one in collector.spans} == {"pagemill-api"}
    assert request_span.attributes == {"http.response.status_code": 200}
    assert run.attributes == {"pagemill.job.attempt": 2}
    assert request_span.start <= submit.start <= submit.end <= request_span.end
    assert run.start <= read.start <= read.end <= run.end


def test_a_request_without_a_context_begins_a_trace(collector: Collector) -> None:
    with recording(collector):
        for _ in range(2):
            with begin_trace("GET", None):
                pass
    assert len({one.trace_id for one in collector.spans}) == 2
    assert {one.parent_id for one in collector.spans} == {""}


def test_a_trace_that_is_not_recorded_elsewhere_is_not_recorded_here(collector: Collector) -> None:
    with recording(collector):
        for context in (UNSAMPLED.encode(), "hostile", "", None):
            with continue_trace(context, "run"), span("read"), within_trace(context), span("read"):
                assert context_to_send() is None
    assert collector.spans == []


def test_what_is_over_is_recorded_with_its_own_times(collector: Collector) -> None:
    start = datetime.datetime(2026, 11, 28, 12, 0, 0, 123456, UTC)
    end = start + datetime.timedelta(seconds=2.5)
    with recording(collector):
        record_past(SENT.encode(), "queue", {}, start=start, end=end)
        # Two clocks may disagree; a span never ends before it begins.
        record_past(SENT.encode(), "queue backwards", {}, start=end, end=start)
    queue = collector.one("queue")
    assert (queue.start, queue.end) == pytest.approx((start.timestamp(), end.timestamp()), abs=1e-6)
    backwards = collector.one("queue backwards")
    assert backwards.start == backwards.end == pytest.approx(end.timestamp(), abs=1e-6)


def test_an_error_is_named_and_its_message_is_not_told(collector: Collector) -> None:
    with (
        recording(collector),
        pytest.raises(ValueError, match="private"),
        continue_trace(SENT.encode(), "run"),
    ):
        raise ValueError("private words of a document")
    run = collector.one("run")
    assert (run.failed, run.attributes) == (True, {"error.type": "ValueError"})
    assert b"private" not in b"".join(collector.bodies)


async def test_tasks_that_serve_others_are_outside_of_the_trace(collector: Collector) -> None:
    async def inside() -> str | None:
        return active_trace_id()

    with recording(collector), continue_trace(SENT.encode(), "run"):
        assert await asyncio.create_task(inside()) == SENT.trace_id
        assert await asyncio.to_thread(active_trace_id) == SENT.trace_id
        assert await asyncio.create_task(inside(), context=outside_of_trace()) is None
        assert active_trace_id() == SENT.trace_id
    assert active_trace_id() is None


async def test_two_traces_in_one_batch_stay_apart_and_are_linked(collector: Collector) -> None:
    active: list[str | None] = []
    begin = asyncio.Event()

    async def process(items: Sequence[str]) -> list[str]:
        active.append(active_trace_id())
        await begin.wait()
        return [item.upper() for item in items]

    batcher: Batcher[str, str] = Batcher(process, max_size=8)

    async def submit(name: str) -> str:
        if name == "untraced":
            return await batcher.submit(name)
        with begin_trace(f"request {name}", None), span(f"write {name}"):
            return await batcher.submit(name)

    with recording(collector):
        first = asyncio.create_task(submit("first"))
        await asyncio.sleep(0)
        others = [asyncio.create_task(submit(name)) for name in ("one", "two", "untraced")]
        await asyncio.sleep(0)
        begin.set()
        assert await asyncio.gather(first, *others) == ["FIRST", "ONE", "TWO", "UNTRACED"]
    one, two = collector.one("write one"), collector.one("write two")
    assert one.trace_id == collector.one("request one").trace_id
    assert two.trace_id == collector.one("request two").trace_id
    assert one.trace_id != two.trace_id
    assert (one.links, two.links) == ([(two.trace_id, two.span_id)], [(one.trace_id, one.span_id)])
    assert one.attributes == two.attributes == {"pagemill.batch.size": 3}
    assert collector.one("write first").links == []
    assert active == [None, None], "a batch belongs to no trace, not even to that of who came first"


def test_links_of_a_large_batch_are_bounded(collector: Collector) -> None:
    with recording(collector):
        recorder = spans._recorder
        assert recorder is not None
        many = [
            recorder.start("batch", parent=None, is_remote=False, kind="internal", attributes=None)
            for _ in range(100)
        ]
        spans.link_batch([*many, None])
        for one in many:
            one.end()
    assert {len(one.links) for one in collector.spans} == {MOST_LINKS}
    assert all((one.trace_id, one.span_id) not in one.links for one in collector.spans)
    assert {one.attributes["pagemill.batch.size"] for one in collector.spans} == {101}


def test_a_line_of_the_log_names_the_trace(collector: Collector) -> None:
    def line(**extra: object) -> dict[str, object]:
        record = logging.makeLogRecord({"name": "pagemill", "msg": "hello", "levelname": "INFO", **extra})
        found: dict[str, object] = json.loads(JsonFormatter().format(record))
        return found

    with recording(collector), continue_trace(SENT.encode(), "run"):
        assert line()["trace_id"] == SENT.trace_id
        assert "trace_id" not in line(trace_id=None), "a line of somebody else, written later"
    assert "trace_id" not in line()
    assert line(trace_id="f" * 32)["trace_id"] == "f" * 32


def test_attributes_hold_ids_numbers_and_words_of_ours_only() -> None:
    allowed = get_args(spans.AttributeName)
    assert [name for name in allowed if not name.startswith(("pagemill.", "http.", "error."))] == []
    assert [name for name in allowed if name.endswith((".name", ".value", ".content", ".text", ".key"))] == []

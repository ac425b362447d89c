"""Export to a collector that is there, refuses, is away or never answers."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from pagemill.settings import SettingsError, load_settings
from pagemill.tracing.configuration import close_tracing, configure_tracing, endpoint_of
from pagemill.tracing.spans import begin_trace, is_recording
from tests.support.collector import Collector, collecting, recording, tracing_settings
from tests.support.processes import eventually

REQUIRED = {"PAGEMILL_DATABASE_URL": "postgresql://localhost/x", "PAGEMILL_OBJECTS_URL": "file:///x"}
QUEUE = 2048


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def record(number: int) -> None:
    for _ in range(number):
        with begin_trace("GET", None):
            pass


def test_spans_arrive_while_the_process_runs_and_the_rest_when_it_ends(collector: Collector) -> None:
    with recording(collector):
        record(1)
        eventually(lambda: len(collector.spans), lambda number: number == 1, seconds=60)
        record(3)
    assert len(collector.spans) == 4
    assert {one[":path"] for one in collector.requests} == {"/v1/traces"}
    assert not is_recording()


def test_what_the_environment_says_of_the_export_is_obeyed(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20token")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with recording(collector):
        record(1)
    (request,) = collector.requests
    assert (request["authorization"], request["content-encoding"]) == ("Bearer token", "gzip")
    assert len(collector.spans) == 1


def test_another_tools_endpoint_turns_nothing_on(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    configure_tracing(tracing_settings(""), "test")
    assert not is_recording()


def test_a_collector_that_is_away_costs_spans_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        caplog.set_level(logging.DEBUG)
        configure_tracing(tracing_settings(url), "test")
        record(10)
        close_tracing(seconds=0.2)
    lines = [one.getMessage() for one in caplog.records if one.name.startswith(("pagemill", "opentelemetry"))]
    assert len([line for line in lines if "traces are not exported" in line]) <= 1
    assert [line for line in lines if "traces are not exported" not in line] == []


def test_a_collector_that_refuses_is_told_of_once_and_again_when_it_is_back(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    collector.status = 404
    with recording(collector):
        record(1)
        eventually(lambda: len(collector.requests), lambda number: number == 1, seconds=60)
        record(1)
        eventually(lambda: len(collector.requests), lambda number: number == 2, seconds=60)
        collector.status = 200
        record(1)
    lines = [one.getMessage() for one in caplog.records if one.name == "pagemill.tracing.recording"]
    assert len(lines) == 2
    assert "404" in lines[0]
    assert lines[1] == "traces are exported again; 2 spans are lost"
    assert len(collector.spans) == 1


@contextlib.contextmanager
def silent() -> Iterator[tuple[str, threading.Event]]:
    """A collector that takes connections and never answers; the event says that one has come."""
    reached = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connections.append(server.accept()[0])
                    reached.set()

        connections: list[socket.socket] = []
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", reached
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in connections:
            connection.close()


def test_a_collector_that_never_answers_holds_nobody_up() -> None:
    """The queue is full long before the export gives up: recording goes on, and so does the end."""
    with silent() as (url, reached):
        configure_tracing(tracing_settings(url), "test")
        record(1)
        assert reached.wait(60)
        record(2 * QUEUE)
        close_tracing(seconds=0.1)
    assert not is_recording()


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
        ("https://collector.example/otlp/v1/traces", "https://collector.example/otlp/v1/traces"),
    ],
)
def test_an_address_without_a_path_gets_that_of_the_standard(url: str, endpoint: str) -> None:
    assert endpoint_of(url) == endpoint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRACES_URL", "localhost:4318"),
        ("TRACES_URL", "grpc://localhost:4317"),
        ("TRACES_URL", "http://user:password@localhost:4318"),
        ("TRACES_URL", "http://localhost:4318/?token=x"),
        ("TRACES_SHARE", "1.5"),
        ("TRACES_SHARE", "-1"),
        ("TRACES_CLIENT_RATE", "-1"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name.lower()):
        load_settings(REQUIRED | {f"PAGEMILL_{name}": value})

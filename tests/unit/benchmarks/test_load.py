"""The client of the API's benchmark counts what was answered, and stops at what was not."""

from __future__ import annotations

import contextlib
import gc
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.load import Load, LoadError, canned, ceiling, get, post, run
from benchmarks.uploads import UploadError, upload

SECONDS = 0.2


def test_it_asks_until_the_time_is_over() -> None:
    with canned(b"x" * 100_000) as port:
        load = run(port, [get(port, "/a", "t"), get(port, "/b", "t")], seconds=SECONDS, connections=3)
    assert len(load.latencies) >= 3
    assert load.seconds >= SECONDS
    assert 0 < load.percentile(0.5) <= load.percentile(0.99) <= load.seconds
    assert load.per_second == pytest.approx(len(load.latencies) / load.seconds)


def test_a_post_carries_its_body() -> None:
    head, _, body = post(1234, "/a", "t", b'{"b": 1}').partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a HTTP/1.1\r\n")
    assert b"Content-Length: 8" in head
    assert body == b'{"b": 1}'
    with canned(b"{}") as port:
        load = run(port, [post(port, "/a", "t", b"{}")], seconds=SECONDS, connections=2)
    assert len(load.latencies) >= 2


def test_its_own_ceiling_is_known() -> None:
    assert ceiling(b"{}", seconds=SECONDS, connections=2) > 0


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error"])
def test_another_answer_ends_the_run(status: str) -> None:
    with canned(b"{}", status=status) as port, pytest.raises(LoadError, match=status):
        run(port, [get(port, "/", "t")], seconds=SECONDS, connections=2)


def test_a_run_that_fails_leaves_no_connection_open() -> None:
    """An open one is told of by a warning when it is collected, and warnings are errors."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:

        def answer_the_first() -> bytes:
            first, second = listener.accept()[0], listener.accept()[0]
            with first, second:
                first.sendall(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n")
                second.settimeout(60)
                while received := second.recv(1000):
                    assert received.startswith(b"GET ")
                return received

        port = listener.getsockname()[1]
        answered = pool.submit(answer_the_first)
        with pytest.raises(LoadError, match="500"):
            run(port, [get(port, "/", "t")], seconds=SECONDS, connections=2)
        with contextlib.suppress(ConnectionResetError):
            assert answered.result() == b""
    gc.collect()


def test_a_refused_upload_is_told() -> None:
    with canned(b"{}") as port:
        upload(port, "/v1/files/x", "t", 100)
    with canned(b"{}", status="403 Forbidden") as port, pytest.raises(UploadError, match="403"):
        upload(port, "/v1/files/x", "t", 100)


def test_percentiles() -> None:
    load = Load(seconds=2.0, latencies=[float(number) for number in range(1, 101)])
    assert (load.percentile(0.5), load.percentile(0.99), load.percentile(1.0)) == (51.0, 100.0, 100.0)
    assert load.per_second == 50.0

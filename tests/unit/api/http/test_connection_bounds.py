"""Which connections are shut when one address has too many."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pagemill.api.http.connection_bounds import (
    GRACE_SECONDS,
    Arrivals,
    ConnectionBounds,
    OpenConnection,
    accepted_connections,
    surplus,
)

ADDRESS = "203.0.113.9"
NOW = 1000.0


def connections(count: int) -> list[OpenConnection]:
    return [OpenConnection(number, (ADDRESS, str(number))) for number in range(count)]


def shut(noted: Arrivals, ages: list[float], most: int) -> list[int]:
    ones = connections(len(ages))
    seen = {one.peer: NOW - age for one, age in zip(ones, ages, strict=True)}
    return [one.descriptor for one in surplus(ones, seen, NOW, most, noted)]


def test_those_without_a_request_go_first_the_oldest_of_them_first() -> None:
    noted = Arrivals()
    noted.complete((ADDRESS, "0"))
    noted.answered((ADDRESS, "0"), NOW - 500)
    assert shut(noted, [900.0, 5.0, 7.0, 6.0], 2) == [2, 3]
    assert shut(noted, [900.0, 5.0, 7.0, 6.0], 4) == []


def test_then_those_that_have_been_idle_for_longest() -> None:
    noted = Arrivals()
    for number, idle in enumerate((30.0, 50.0, 40.0)):
        noted.complete((ADDRESS, str(number)))
        noted.answered((ADDRESS, str(number)), NOW - idle)
    assert shut(noted, [60.0] * 4, 1) == [3, 1, 2]


def test_a_request_that_is_worked_on_and_a_new_connection_stay() -> None:
    noted = Arrivals()
    noted.complete((ADDRESS, "0"))
    assert shut(noted, [100.0, GRACE_SECONDS / 2, 100.0], 0) == [2]


def test_strangers_who_come_and_go_push_nobody_out() -> None:
    noted = Arrivals()
    noted.complete((ADDRESS, "0"))
    noted.answered((ADDRESS, "0"), NOW - 0.001)
    assert shut(noted, [100.0, *([GRACE_SECONDS / 2] * 9)], 2) == []


def test_who_begins_a_body_has_to_prove_itself_again() -> None:
    noted = Arrivals()
    noted.complete((ADDRESS, "0"))
    noted.incomplete((ADDRESS, "0"))
    noted.answered((ADDRESS, "0"), NOW)
    assert noted.last((ADDRESS, "0")) == 0
    noted.complete((ADDRESS, "1"))
    noted.keep({(ADDRESS, "2")})
    assert len(noted) == 0


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_the_connections_of_a_process_are_those_at_its_ports() -> None:
    with listening() as server, socket.create_connection(server.getsockname()) as client:
        accepted, peer = server.accept()
        with accepted:
            found = [one for one in accepted_connections() if one.peer == (peer[0], str(peer[1]))]
            assert client.getsockname() == peer
            [connection] = found
            os.close(connection.descriptor)


@pytest.mark.parametrize(("trusted", "expected"), [("", "2 0"), ("127.0.0.0/8", "0 2")])
def test_too_many_connections_are_shut_unless_they_are_a_proxys(trusted: str, expected: str) -> None:
    """In a process of its own: others' connections of this one are none of the test's business."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {__name__} as test; test.shut_some({trusted!r})"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == expected


def shut_some(trusted: str) -> None:
    """Open five connections where three are allowed; print how many were shut, and how many still hear."""
    from pagemill.api.http.client_address import read_proxies

    with listening() as server, contextlib.ExitStack() as stack:
        bounds = ConnectionBounds(3, read_proxies(trusted))
        clients = [stack.enter_context(socket.create_connection(server.getsockname())) for _ in range(5)]
        accepted = [stack.enter_context(server.accept()[0]) for _ in clients]
        assert bounds.look(NOW) == 0
        count = bounds.look(NOW + GRACE_SECONDS)
        for connection in accepted:
            with contextlib.suppress(OSError):
                connection.sendall(b"x")
        assert sum(client.recv(1) == b"" for client in clients) == count
        sys.stdout.write(f"{count} {2 - count}")

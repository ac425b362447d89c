"""Connections that do as little as they can, from a process of their own, and a client that works meanwhile.

python -m tests.support.slow_clients PORT CONNECTIONS   prints what became of them as one line of JSON.
"""

from __future__ import annotations

import http.client
import json
import resource
import selectors
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.slow_clients import KINDS

DEADLINE = 60.0
DRIP_SECONDS = 0.2


@dataclass
class Client:
    """One of the connections."""

    kind: str
    connection: socket.socket
    received: bytes = b""


@dataclass
class Outcome:
    """What was seen until all connections had ended."""

    answered: int = 0
    failed: int = 0
    left: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)


def main(port: int, count: int) -> None:
    """Open the connections in turns of their kinds, and work until the server has ended them all."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    selector = selectors.DefaultSelector()
    kinds = list(KINDS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        connection.sendall(KINDS[kind].first)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, Client(kind, connection))
    sys.stdout.write(json.dumps(vars(watch(selector, port))))


def watch(selector: selectors.BaseSelector, port: int) -> Outcome:
    """Work as an honest client until all others have ended, or the deadline is over."""
    outcome = Outcome()
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    deadline = time.monotonic() + DEADLINE
    while selector.get_map() and time.monotonic() < deadline:
        for key, _ in selector.select(DRIP_SECONDS):
            receive(selector, key.data, outcome)
        for key in list(selector.get_map().values()):
            drip(selector, key.data, outcome)
        for connection in (kept, http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)):
            ask(connection, outcome)
    outcome.left = len(selector.get_map())
    return outcome


def ask(connection: http.client.HTTPConnection, outcome: Outcome) -> None:
    """Ask whether the API is well; once more where the connection was idle for too long, as clients do."""
    for tries in range(2):
        try:
            connection.request("GET", "/health")
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            sys.stderr.write(f"{tries}: {error!r}\n")
            connection.close()
            continue
        outcome.answered += answer.status == 200
        outcome.failed += answer.status != 200
        return
    outcome.failed += 1


def receive(selector: selectors.BaseSelector, client: Client, outcome: Outcome) -> None:
    """Read what came; the end of a connection is counted."""
    try:
        data = client.connection.recv(4096)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    client.received += data
    if not data:
        end(selector, client, outcome)


def drip(selector: selectors.BaseSelector, client: Client, outcome: Outcome) -> None:
    """Send a little more."""
    try:
        client.connection.send(KINDS[client.kind].then)
    except BlockingIOError:
        return
    except OSError:
        end(selector, client, outcome)


def end(selector: selectors.BaseSelector, client: Client, outcome: Outcome) -> None:
    """Count how a connection ended."""
    selector.unregister(client.connection)
    client.connection.close()
    outcome.ended[client.kind] += 1
    if client.received:
        outcome.statuses[client.received.split(b" ", 2)[1].decode()] += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

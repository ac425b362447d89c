"""Rate at which the API answers others while somebody is hostile.

python -m benchmarks.surface --out benchmarks/results/surface.json

Each figure is the requests per second of an ordinary client over those of the same client in the same server
just before or after: 1.0 is no harm. The hostile side runs on the cores of Postgres, not on those of the API,
keeps 1,024 connections of its kind open, or sends one hostile request after the other. Slow clients are on
both sides of the ratio, at a port where nobody reads and at the API: on a machine with few cores they take
time from Postgres by being there, which says nothing about the API.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.api_servers import Server, World, halves, world
from benchmarks.load import get, run
from benchmarks.machine import machine
from benchmarks.slow_clients import KINDS, slow_clients

DOCUMENTS = 10_000
ASKED = 1000
CONNECTIONS = 8
SLOW_CONNECTIONS = 1024
HEALTH_SECONDS = 0.25
TARGETS = {"*.ratio": "at least 0.8", "*.healthSlowestSeconds": "at most 1"}


def main() -> None:
    """Measure and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each side in each round")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with world(DOCUMENTS, 1) as servers:
        figures = measure(servers, arguments.rounds, arguments.seconds)
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


def measure(servers: World, rounds: int, seconds: float) -> dict[str, Any]:
    """Return all figures."""
    port = servers.api.port
    first, _ = halves(os.sched_getaffinity(0))
    hostile = {name: lambda body=body: repeated(servers, body) for name, body in requests().items()}

    def held(kind: str, *, at_api: bool) -> AbstractContextManager[None]:
        return slow_clients(port if at_api else deaf.getsockname()[1], kind, SLOW_CONNECTIONS, first)

    with socket.create_server(("127.0.0.1", 0), backlog=2 * SLOW_CONNECTIONS) as deaf:
        slow_figures = {
            kind: harmed(
                servers,
                partial(held, kind, at_api=True),
                rounds,
                seconds,
                beside=partial(held, kind, at_api=False),
            )
            for kind in KINDS
        }
    return {
        "benchmark": "surface",
        "date": datetime.now(UTC).date().isoformat(),
        "slowConnections": SLOW_CONNECTIONS,
        "rounds": rounds,
        "secondsOfEachSide": seconds,
        "slowClients": slow_figures,
        "hostileRequests": {
            name: harmed(servers, attack, rounds, seconds) for name, attack in hostile.items()
        },
        "targets": TARGETS,
        "machine": machine(),
    }


def harmed(
    servers: World,
    attack: Callable[[], AbstractContextManager[None]],
    rounds: int,
    seconds: float,
    *,
    beside: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
) -> dict[str, Any]:
    """Return the requests per second under an attack over those ``beside`` something else, in turns."""
    ratios, slowest = [], 0.0
    for number in range(rounds):
        calm = rate_during(beside, servers, seconds) if number % 2 == 0 else 0.0
        with attack(), health_asked(servers.api) as waits:
            attacked = rate(servers, seconds)
        calm = calm or rate_during(beside, servers, seconds)
        ratios.append(attacked / calm)
        slowest = max(slowest, *waits)
    return {
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "healthSlowestSeconds": round(slowest, 3),
    }


def rate_during(beside: Callable[[], AbstractContextManager[None]], servers: World, seconds: float) -> float:
    """Return the requests per second of an ordinary client beside something."""
    with beside():
        return rate(servers, seconds)


def rate(servers: World, seconds: float) -> float:
    """Return the requests per second of an ordinary client, which reads documents."""
    paths = [servers.document_path(1 + number) for number in range(ASKED)]
    sent = [get(servers.api.port, path, servers.token) for path in paths]
    return run(servers.api.port, sent, seconds=seconds, connections=CONNECTIONS).per_second


@contextlib.contextmanager
def health_asked(server: Server) -> Iterator[list[float]]:
    """Ask for the health again and again, on a new connection each time; yield the seconds that it took."""
    waits: list[float] = [0.0]
    ending = threading.Event()

    def ask() -> None:
        while not ending.wait(HEALTH_SECONDS):
            begun = time.perf_counter()
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/health", timeout=60) as answer:
                answer.read()
            waits.append(time.perf_counter() - begun)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield waits
    finally:
        ending.set()
        asking.join()


@contextlib.contextmanager
def repeated(servers: World, body: bytes) -> Iterator[None]:
    """Send one hostile request once a second meanwhile."""
    ending = threading.Event()
    request = urllib.request.Request(
        f"http://127.0.0.1:{servers.api.port}/v1/workflows",
        data=body,
        headers={"Authorization": f"Bearer {servers.token}", "Content-Type": "application/json"},
    )

    def send() -> None:
        while not ending.wait(1.0):
            try:
                urllib.request.urlopen(request, timeout=60).close()
            except urllib.error.HTTPError as error:
                error.close()

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        ending.set()
        sending.join()


def requests() -> dict[str, bytes]:
    """Return bodies for ``POST /workflows`` that take long to judge, and are refused in the end."""
    states: dict[str, Any] = {f"s{n}": {"Type": "Pass", "Next": f"s{n + 1}"} for n in range(6500)}
    states["s6500"] = {"Type": "Task", "Resource": f"las:transition:{'0' * 32}", "End": True}
    calls = {f"a{n}.$": f"States.Format('{{}}',$.a{n})" for n in range(6000)}
    call = {"a": {"Type": "Pass", "Parameters": calls, "Next": "s6500"}, "s6500": states["s6500"]}
    definitions = {"manyStates": ("s0", states), "manyCalls": ("a", call)}
    bodies = {
        name: json.dumps({"specification": {"definition": {"StartAt": start, "States": found}}}).encode()
        for name, (start, found) in definitions.items()
    }
    origins = [f"{n}" + "[^\u0100-\u1fff]{9}" * 6 for n in range(90)]
    email = {"secretId": f"las:secret:{'0' * 32}", "allowedOrigins": origins}
    specification = {"definition": {"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}}
    return bodies | {
        "expressions": json.dumps({"specification": specification, "emailConfig": email}).encode()
    }


if __name__ == "__main__":
    main()

"""Speed of the API beside a bare Litestar handler and without its metrics, long lists, and memory of uploads.

python benchmarks/api.py --out benchmarks/results/api.json

All servers run with the same options and are measured in turns by the same client. The document of
``getDocument`` has no content: with content the answer also holds its bytes, see ``getDocumentWithContent``.
``metrics`` is the API that counts its requests, and is scraped meanwhile, over the one that does not.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.access_check import access_check
from benchmarks.api_servers import Server, World, document_id, world
from benchmarks.load import Load, ceiling, get, run
from benchmarks.machine import machine
from benchmarks.turns_api import PATH, TURN, Turn
from benchmarks.uploads import megabytes_added, upload
from pagemill.api.http.paging import token_after

DOCUMENTS = 1_000_000
PREDICTIONS = 1000
ASKED = 1000
"""So many different resources are asked for in turn."""
CONNECTIONS = 8
PAGE = 100
DEEP_PAGE = 5000
CONTENT_BYTES = 100_000
FILE_BYTES = 64_000_000
UPLOADS = 32
MILLISECONDS = 1000.0

TARGETS = {
    "getDocument.ratio": "at least 0.6",
    "getPrediction.ratio": "at least 0.6",
    "getDocument.p99Ms": "at most 4 x p50Ms",
    "listMillion.ratio": "at most 1.5",
    "upload.megabytesAdded64": "less than 16",
    "upload.megabytes32Parallel": "less than 300",
    "metrics.ratio": "at least 0.98",
    "accessCheck.permissionsUs": "at most 30",
    "accessCheck.tokenKeptUs": "at most 120; tokenFirstUs is paid once by each process for a token",
}
WARM_UP_SECONDS = 1.0
SCRAPE_SECONDS = 15.0
"""Interval in which Prometheus asks as a rule."""


def main() -> None:
    """Measure and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each side in each round")
    arguments = parser.parse_args()
    # Asked to end, it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with world(arguments.documents, PREDICTIONS) as servers:
        figures = measure(servers, arguments.rounds, arguments.seconds)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def measure(servers: World, rounds: int, seconds: float) -> dict[str, Any]:
    """Return all figures."""
    began = machine()
    return {
        "benchmark": "api",
        "connections": CONNECTIONS,
        "rounds": rounds,
        "secondsOfEachSide": seconds,
        "accessCheck": access_check(),
        "getDocument": beside_reference(servers, servers.document_path, rounds, seconds),
        "getPrediction": beside_reference(servers, servers.prediction_path, rounds, seconds),
        "metrics": with_metrics(servers, rounds, seconds),
        "getDocumentWithContent": with_content(servers, rounds, seconds),
        "listMillion": long_list(servers, rounds, seconds),
        "upload": uploads(servers),
        "clientCeilingPerSecond": round(ceiling(b"x" * 800, seconds=seconds, connections=CONNECTIONS)),
        "targets": TARGETS,
        "machine": began,
    }


def beside_reference(
    servers: World, path: Callable[[int], str], rounds: int, seconds: float
) -> dict[str, Any]:
    """Return the API's requests per second over the reference's."""
    sides = compared(servers, (servers.api, servers.reference), path, rounds, seconds)
    return {"ratio": sides.ratio, **sides.first, "reference": sides.second, "ratios": sides.ratios}


def with_metrics(servers: World, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the throughput with metrics over that without, and likewise the processor time of a request.

    Both are one process, whose applications answer in turns. From the throughput is taken what the process
    computes for its metrics while nobody asks it, and for the scrapes. ``control`` has no metrics on
    either side: how sure the others are.
    """
    with servers.start(True) as counting:
        idle = idle_share(counting)
        counted = in_turns(servers, counting, 2 * rounds * seconds)
    with servers.start(False) as silent:
        idle -= idle_share(silent)
        control = in_turns(servers, silent, 2 * rounds * seconds)
    return {
        **counted,
        "ratio": round(counted["ratio"] - idle, 4),
        "shareOfACoreWhenIdle": round(idle, 5),
        "control": control,
    }


def idle_share(server: Server) -> float:
    """Return the share of a core that a server uses when it is asked for nothing but its metrics."""
    run_seconds = 2 * SCRAPE_SECONDS
    before = server.cpu_seconds()
    scraping: AbstractContextManager[object] = (
        scraped(server.metrics_port) if server.metrics_port else nullcontext()
    )
    with scraping:
        time.sleep(run_seconds)
    return (server.cpu_seconds() - before) / run_seconds


def in_turns(servers: World, server: Server, seconds: float) -> dict[str, Any]:
    """Return the ratios of the two applications of a server: medians over pairs of turns."""
    requests = [get(server.port, servers.document_path(1 + number), servers.token) for number in range(ASKED)]
    run(server.port, requests, seconds=WARM_UP_SECONDS, connections=CONNECTIONS)
    # The pair in which the warm-up ended is left out.
    skipped = 2 * (len(turns_of(server)) // 2 + 1)
    run(server.port, requests, seconds=seconds, connections=CONNECTIONS)
    turns = turns_of(server)[skipped:]
    pairs = [sorted(pair) for pair in zip(turns[::2], turns[1::2], strict=False)]
    throughput = [without.seconds / counting.seconds for counting, without in pairs]
    computed = [counting.cpu_seconds / without.cpu_seconds for counting, without in pairs]
    return {
        "ratio": round(statistics.median(throughput), 4),
        "cpuRatio": round(statistics.median(computed), 4),
        "cpuRatioStandardError": round(statistics.stdev(computed) / len(computed) ** 0.5, 4),
        "turns": len(turns),
        "requestsOfATurn": TURN,
    }


def turns_of(server: Server) -> list[Turn]:
    """Return the turns of a server so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{PATH}", timeout=30) as answer:
        return msgspec.json.decode(answer.read(), type=list[Turn])


@contextmanager
def scraped(port: int) -> Iterator[list[float]]:
    """Have the metrics scraped as Prometheus does; yields the seconds that each scrape takes."""
    seconds: list[float] = []
    ending = threading.Event()

    def scrape() -> None:
        while True:
            begun = time.perf_counter()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                answer.read()
            seconds.append(time.perf_counter() - begun)
            if ending.wait(SCRAPE_SECONDS):
                return

    scraping = threading.Thread(target=scrape)
    scraping.start()
    try:
        yield seconds
    finally:
        ending.set()
        scraping.join()


class Sides(NamedTuple):
    """Figures of two servers, and the ratios of the first one's requests per second over the second one's."""

    first: dict[str, float]
    second: dict[str, float]
    ratios: list[float]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return round(statistics.median(self.ratios), 3)


def compared(
    servers: World,
    pair: tuple[Server, Server],
    path: Callable[[int], str],
    rounds: int,
    seconds: float,
) -> Sides:
    """Measure two servers in turns."""
    requests = {
        server: [get(server.port, path(1 + number), servers.token) for number in range(ASKED)]
        for server in pair
    }
    for server, own in requests.items():
        run(server.port, own, seconds=max(seconds / 2, WARM_UP_SECONDS), connections=CONNECTIONS)
    loads: dict[Server, list[Load]] = {server: [] for server in requests}
    computed: dict[Server, list[float]] = {server: [] for server in requests}
    for number in range(rounds):
        # Each side goes first as often as the other.
        order = list(requests) if number % 2 else list(reversed(requests))
        for server in order:
            before = server.cpu_seconds()
            load = run(server.port, requests[server], seconds=seconds, connections=CONNECTIONS)
            loads[server].append(load)
            computed[server].append((server.cpu_seconds() - before) / len(load.latencies))
    first, second = (
        {
            **latencies(loads[server]),
            "perSecond": round(statistics.median(load.per_second for load in loads[server])),
            "cpuMicrosecondsEach": round(statistics.median(computed[server]) * 1e6, 1),
        }
        for server in pair
    )
    in_turns = zip(*(loads[server] for server in pair), strict=True)
    return Sides(first, second, [round(one.per_second / other.per_second, 3) for one, other in in_turns])


def latencies(loads: list[Load]) -> dict[str, float]:
    """Return the medians over the rounds of each round's p50 and p99."""
    return {
        name: round(statistics.median(load.percentile(share) for load in loads) * MILLISECONDS, 2)
        for name, share in (("p50Ms", 0.5), ("p99Ms", 0.99))
    }


def with_content(servers: World, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure documents whose bytes are read from a directory and returned in base64."""
    numbers = range(servers.documents - 20, servers.documents)
    for number in numbers:
        path = f"/v1/files/{document_id(number)}"
        upload(servers.api.port, path, servers.token, CONTENT_BYTES)
    requests = [get(servers.api.port, servers.document_path(number), servers.token) for number in numbers]
    loads = [run(servers.api.port, requests, seconds=seconds, connections=CONNECTIONS) for _ in range(rounds)]
    return {
        "contentBytes": CONTENT_BYTES,
        **latencies(loads),
        "perSecond": round(statistics.median(load.per_second for load in loads)),
    }


def long_list(servers: World, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure the first page of all documents and a page deep in the list, in turns."""
    path = f"/v1/documents?maxResults={PAGE}"
    before = min(PAGE * (DEEP_PAGE - 1), servers.documents - PAGE)
    deep = f"{path}&nextToken={token_after(_created(servers, before), document_id(before))}"
    pages = {"page1Ms": path, "page5000Ms": deep}
    medians: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(rounds):
        for name, asked in pages.items():
            request = get(servers.api.port, asked, servers.token)
            load = run(servers.api.port, [request], seconds=seconds / 2, connections=1)
            medians[name].append(load.percentile(0.5))
    found = {name: statistics.median(values) for name, values in medians.items()}
    return {
        "documents": servers.documents,
        "documentsOnAPage": PAGE,
        **{name: round(value * MILLISECONDS, 2) for name, value in found.items()},
        "ratio": round(found["page5000Ms"] / found["page1Ms"], 3),
    }


def _created(servers: World, number: int) -> datetime:
    """Return the time at which a document was created."""
    url = f"http://127.0.0.1:{servers.api.port}{servers.document_path(number)}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {servers.token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        created = json.loads(answer.read())["createdTime"]
    return datetime.strptime(created, "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)


def uploads(servers: World) -> dict[str, Any]:
    """Return the memory that one upload of 64 MB adds to the server, and that 32 at once add."""
    paths = [f"/v1/files/{document_id(number)}" for number in range(1, UPLOADS + 1)]
    # What the first upload loads stays: modules, buffers, threads.
    megabytes_added(servers.api, paths[:1], servers.token, CONTENT_BYTES)
    one, seconds_of_one = megabytes_added(servers.api, paths[:1], servers.token, FILE_BYTES)
    time.sleep(1)
    many, seconds_of_many = megabytes_added(servers.api, paths, servers.token, FILE_BYTES)
    return {
        "megabytesAdded64": round(one, 1),
        "megabytes32Parallel": round(many, 1),
        "megabytesPerSecond": round(FILE_BYTES / 1e6 / seconds_of_one, 1),
        "megabytesPerSecond32Parallel": round(UPLOADS * FILE_BYTES / 1e6 / seconds_of_many, 1),
    }


if __name__ == "__main__":
    main()

"""The same reading and prediction as in the platform, in a bare loop of some processes."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from benchmarks.reading_engine import SCRIPTS
from benchmarks.serving_documents import Source
from pagemill.extraction.artefact import Artefact
from pagemill.extraction.postprocess import postprocess
from pagemill.extraction.predictor import FieldPredictor
from pagemill.extraction.reading import PageReader
from pagemill.extraction.recognition.recognizer import Recognizer
from pagemill.extraction.recognition.script_aware import with_scripts
from pagemill.extraction.types import ReadOptions

THREADS = 1
"""Threads of a process, as replicas have with the default settings."""
POSTPROCESSING: dict[str, Any] = {"strategy": "BEST_FIRST"}


@dataclass(frozen=True, slots=True)
class Looped:
    """Pages, seconds and processor seconds of one run; seconds of each document."""

    pages: int
    seconds: float
    cpu_seconds: float
    latencies: list[float]


class BareLoop:
    """Processes that share the documents of a run, each with its own models."""

    def __init__(self, artefact: Artefact, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connections: list[Connection] = []
        self._processes = []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(artefact, theirs), daemon=True)
            process.start()
            self._connections.append(ours)
            self._processes.append(process)
        for connection in self._connections:
            connection.recv()

    def run(self, sources: Sequence[Source]) -> Looped:
        """Read and predict each document once; who is ready takes the next one."""
        left = list(reversed(sources))
        done: list[Looped] = []
        working = 0
        began = time.perf_counter()
        for connection in self._connections[: len(left)]:
            connection.send(left.pop())
            working += 1
        while working:
            for ready in wait(self._connections):
                assert isinstance(ready, Connection)
                done.append(ready.recv())
                working -= 1
                if left:
                    ready.send(left.pop())
                    working += 1
        return Looped(
            sum(one.pages for one in done),
            time.perf_counter() - began,
            sum(one.cpu_seconds for one in done),
            [seconds for one in done for seconds in one.latencies],
        )

    def close(self) -> None:
        """End the processes."""
        for connection in self._connections:
            connection.send(None)
        for process in self._processes:
            process.join()


@contextmanager
def bare_loop(artefact: Artefact, processes: int) -> Iterator[BareLoop]:
    """Run the processes."""
    loop = BareLoop(artefact, processes)
    try:
        yield loop
    finally:
        loop.close()


def _work(artefact: Artefact, connection: Connection) -> None:
    torch.set_num_threads(THREADS)
    predictor = FieldPredictor.load(artefact)
    recognizer = with_scripts(Recognizer(threads=THREADS), SCRIPTS)
    with PageReader(recognizer=recognizer) as reader:
        connection.send("ready")
        while (source := connection.recv()) is not None:
            connection.send(_run(reader, predictor, source))


def _run(reader: PageReader, predictor: FieldPredictor, source: Source) -> Looped:
    before, began = _cpu_seconds(reader), time.perf_counter()
    reading = reader.read(source.path.read_bytes(), range(source.pages), ReadOptions())
    postprocess(predictor.predict([reading.pages])[0], POSTPROCESSING)
    seconds = time.perf_counter() - began
    return Looped(len(reading.pages), seconds, _cpu_seconds(reader) - before, [seconds])


def _cpu_seconds(reader: PageReader) -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + reader.child_processor_seconds

"""Processes that tests look for, kill and wait for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

Value = TypeVar("Value")
PATIENCE_SECONDS = 60.0
"""Time for what has to happen, on the busiest machine. A test that passes never takes it."""


def descendants(process_id: int, matches: Callable[[str], bool]) -> list[psutil.Process]:
    """The processes below one whose command line matches."""
    found = []
    for process in psutil.Process(process_id).children(recursive=True):
        try:
            if matches(" ".join(process.cmdline())):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill(processes: list[psutil.Process]) -> None:
    """Kill -9, and wait until they are gone."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)


def is_alive(process_id: int) -> bool:
    """Tell whether a process runs. A zombie does not: it has ended, and somebody will fetch its status."""
    try:
        return psutil.Process(process_id).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(*process_ids: int, seconds: float = PATIENCE_SECONDS) -> None:
    """Return when none of the processes runs. One that was killed is there for a moment yet."""
    eventually(
        lambda: [one for one in process_ids if is_alive(one)],
        lambda alive: not alive,
        seconds=seconds,
        pause=0.01,
    )


def eventually(
    read: Callable[[], Value], accept: Callable[[Value], bool], *, seconds: float, pause: float = 0.25
) -> Value:
    """Read until the value is accepted. Fails with the last value after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not accept(value := read()):
        assert time.monotonic() < deadline, f"after {seconds:g} s still {value!r}"
        time.sleep(pause)
    return value

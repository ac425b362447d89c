"""The processes of a running stack, to be killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

Value = TypeVar("Value")


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
    psutil.wait_procs(processes, timeout=20)


def eventually(
    read: Callable[[], Value], accept: Callable[[Value], bool], *, seconds: float, pause: float = 0.25
) -> Value:
    """Read until the value is accepted. Fails with the last value after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not accept(value := read()):
        assert time.monotonic() < deadline, f"after {seconds:g} s still {value!r}"
        time.sleep(pause)
    return value

"""Failures of applications, one line each, wherever an operator looks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

DOES_NOT_RUN = "does not run: "


def reason_of(messages: Iterable[str]) -> str:
    """Return the last line of the first message that has one: of a traceback, the error."""
    for message in messages:
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        if lines:
            return lines[-1]
    return "Serve says no reason"


def failure_line(name: str, reason: str) -> str:
    """Return the line about an application."""
    return f"{name} {DOES_NOT_RUN}{reason}"


def failures_in(log: Path, begin: int) -> list[str]:
    """Return the applications that do not run and why, as a deployment has written from byte ``begin`` on."""
    # A log that was put aside meanwhile is read from its beginning.
    content = log.read_bytes()
    lines = content[begin if begin <= len(content) else 0 :].decode(errors="replace").splitlines()
    found: dict[str, str] = {}
    for line in lines:
        before, marked, reason = line.partition(DOES_NOT_RUN)
        if marked and before.split():
            name = before.split()[-1]
            found[name] = failure_line(name, reason)
    return list(found.values())

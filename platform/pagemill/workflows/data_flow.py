"""Data on their way through a state: what it reads of its input, and what it leaves to the next."""

from __future__ import annotations

import datetime
from typing import Any

from pagemill.workflows.comparisons import moment
from pagemill.workflows.definition import Compiled
from pagemill.workflows.expressions import Scope, evaluate
from pagemill.workflows.failures import RUNTIME, StateFailed
from pagemill.workflows.paths import MISSING, Path, put


def selected(path: Path | None, scope: Scope, member: str) -> Any:
    """Return what a path selects of the data. Raises StateFailed when there is nothing."""
    if path is None:
        return {}
    if path.text == "$":
        return scope.data
    value = scope.find(path)
    if value is MISSING:
        raise StateFailed(RUNTIME, f"{member}: the data have no value at {path.text}")
    if not path.is_reference:
        scope.work.measure(value)
    return value


def effective_input(compiled: Compiled, scope: Scope) -> Scope:
    """Return the scope of a state's own paths: its input after InputPath. Raises StateFailed."""
    return Scope(selected(compiled.input_path, scope, "InputPath"), scope.context, scope.work)


def with_parameters(compiled: Compiled, scope: Scope) -> Any:
    """Return what a state works on: its effective input, or its Parameters. Raises StateFailed."""
    return scope.data if compiled.parameters is None else evaluate(compiled.parameters, scope)


def left(compiled: Compiled, scope: Scope, result: Any) -> Any:
    """Return the output of a state that has a result; ``scope`` has its raw input. Raises StateFailed."""
    if compiled.result_selector is not None:
        result = evaluate(compiled.result_selector, Scope(result, scope.context, scope.work))
    output = scope.data if compiled.result_path is None else put(compiled.result_path, scope.data, result)
    if output is not scope.data:
        scope.work.measure(output)
    return passed_on(compiled, Scope(output, scope.context, scope.work))


def passed_on(compiled: Compiled, scope: Scope) -> Any:
    """Return what OutputPath selects. Raises StateFailed."""
    return selected(compiled.output_path, scope, "OutputPath")


def amount(compiled: Compiled, scope: Scope, member: str, least: int, most: int) -> int | None:
    """Return the whole number at the path of a member, or None without it. Raises StateFailed."""
    if member not in compiled.amounts:
        return None
    value = evaluate(compiled.amounts[member], scope)
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise StateFailed(RUNTIME, f"{member}: must name a whole number from {least} to {most}")
    return number


def items_of(compiled: Compiled, scope: Scope, most: int) -> list[Any]:
    """Return the items that a Map state works on. Raises StateFailed."""
    items = evaluate(compiled.amounts["ItemsPath"], scope)
    if not isinstance(items, list):
        raise StateFailed(RUNTIME, "ItemsPath: must name a list")
    if len(items) > most:
        raise StateFailed(RUNTIME, f"ItemsPath: a Map state works on at most {most} items")
    return items


def text_at(compiled: Compiled, scope: Scope, member: str, default: str) -> str:
    """Return the text at the path of a member, or the default without it. Raises StateFailed."""
    if member not in compiled.amounts:
        return default
    value = evaluate(compiled.amounts[member], scope)
    if not isinstance(value, str):
        raise StateFailed(RUNTIME, f"{member}: must name a string")
    return value


def time_at(value: Any) -> datetime.datetime:
    """Return the time that a text stands for, in UTC. Raises StateFailed."""
    time = moment(value)
    if time is None:
        raise StateFailed(RUNTIME, "The time to wait for must be like 2026-11-28T03:00:00Z")
    return time

"""Rules of Choice states: read from JSON and evaluated on data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pagemill.errors import BadRequest
from pagemill.workflows.comparisons import COMPARATORS, IS_PRESENT, TYPE_TESTS, of_kind
from pagemill.workflows.expressions import Scope
from pagemill.workflows.paths import MISSING, Path, PathMissing, read_reference
from pagemill.workflows.work_bounds import BYTES_OF_WORK

DEEPEST_RULE = 16


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rule that compares the value at a path, with a constant or with the value at another path."""

    variable: Path
    operator: str
    expected: Any


@dataclass(frozen=True, slots=True)
class Every:
    """Rule that holds when all of its rules hold."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """Rule that holds when one of its rules holds."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """Rule that holds when another does not."""

    rule: Rule


Rule: TypeAlias = Comparison | Every | Some | Negation


@dataclass(frozen=True, slots=True)
class Branch:
    """A rule, and the state that follows when it holds; None ends the execution."""

    rule: Rule
    next: str | None


def read_branch(raw: Any, member: str) -> Branch:
    """Read one of the ``Choices`` of a Choice state. Raises BadRequest naming the member."""
    rule = dict(_object(raw, member))
    next_state, end = rule.pop("Next", None), rule.pop("End", False)
    if not (end is True and next_state is None) and (not isinstance(next_state, str) or end is not False):
        raise BadRequest(f"{member}: must have either Next (the name of a state) or End: true")
    return Branch(read_rule(rule, member), next_state)


def read_rule(raw: Any, member: str, depth: int = 0) -> Rule:
    """Read a rule and the rules inside it. Raises BadRequest naming the member."""
    if depth == DEEPEST_RULE:
        raise BadRequest(f"{member}: rules are nested too deeply")
    rule = {name: value for name, value in _object(raw, member).items() if name != "Comment"}
    if len(rule) == 1:
        [(name, value)] = rule.items()
        if name == "Not":
            return Negation(read_rule(value, f"{member}.Not", depth + 1))
        if name in ("And", "Or"):
            if not isinstance(value, list) or not value:
                raise BadRequest(f"{member}.{name}: must be a list of rules")
            rules = tuple(
                read_rule(inner, f"{member}.{name}[{position}]", depth + 1)
                for position, inner in enumerate(value)
            )
            return Every(rules) if name == "And" else Some(rules)
    return _read_comparison(rule, member)


def _read_comparison(rule: Mapping[str, Any], member: str) -> Comparison:
    operators = [name for name in rule if name != "Variable"]
    if len(operators) != 1 or "Variable" not in rule:
        raise BadRequest(f"{member}: must have Variable and one comparison, or one of And, Or and Not")
    [name] = operators
    variable, expected = read_reference(rule["Variable"], f"{member}.Variable"), rule[name]
    if name == IS_PRESENT or name in TYPE_TESTS:
        if not isinstance(expected, bool):
            raise BadRequest(f"{member}.{name}: must be true or false")
        return Comparison(variable, name, expected)
    comparator = COMPARATORS.get(name)
    if comparator is None:
        raise BadRequest(f"{member}.{name}: is not a known comparison")
    if comparator.by_path:
        expected = read_reference(expected, f"{member}.{name}")
    elif of_kind(comparator.kind, expected) is None:
        raise BadRequest(f"{member}.{name}: the value to compare with must be a {comparator.kind.lower()}")
    return Comparison(variable, name, expected)


def _object(raw: Any, member: str) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise BadRequest(f"{member}: must be an object")
    return raw


def holds(rule: Rule, scope: Scope) -> bool:
    """Return whether the rule holds; And and Or stop at the first rule that decides.

    Raises PathMissing and WorkSpent.
    """
    match rule:
        case Every(rules):
            return all(holds(inner, scope) for inner in rules)
        case Some(rules):
            return any(holds(inner, scope) for inner in rules)
        case Negation(inner):
            return not holds(inner, scope)
        case Comparison():
            return _compare(rule, scope)


def _compare(comparison: Comparison, scope: Scope) -> bool:
    value = scope.find(comparison.variable)
    if comparison.operator == IS_PRESENT:
        return (value is not MISSING) is comparison.expected
    if value is MISSING:
        raise PathMissing(comparison.variable.text)
    if isinstance(value, str):
        scope.work.spend(len(value) // BYTES_OF_WORK)
    if comparison.operator in TYPE_TESTS:
        return TYPE_TESTS[comparison.operator](value) is comparison.expected
    comparator = COMPARATORS[comparison.operator]
    expected = comparison.expected
    if comparator.by_path:
        expected = scope.find(comparison.expected)
        if expected is MISSING:
            raise PathMissing(comparison.expected.text)
    left, right = of_kind(comparator.kind, value), of_kind(comparator.kind, expected)
    return left is not None and right is not None and comparator.test(left, right)

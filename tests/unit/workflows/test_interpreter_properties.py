"""Properties of all executions: crashes, late events, and random definitions."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.workflows.definition import Definition, compile_definition
from pagemill.workflows.interpreter import decide, start
from pagemill.workflows.machine import (
    CancelTask,
    Decided,
    Event,
    Failed,
    Jump,
    Machine,
    RunTask,
    StartTimer,
    Succeeded,
    TaskFailed,
    TaskSucceeded,
    TimerFired,
)
from tests.support.machines import context_of, task

DATA = {"n": 1, "list": [{"n": 1}, {"n": 2}, {"n": 3}], "text": "a"}
CONTEXT = context_of(DATA)
PATHS = st.sampled_from(
    ["$", "$.n", "$.list", "$.list[*].n", "$.x", "$.none", "$$.State.Name", "$$.Execution.Input"]
)
TARGETS = st.sampled_from(["$", "$.x", "$.x.y", "$.n.z", "$.list[0]", None])
EXPRESSIONS = st.one_of(
    PATHS,
    st.sampled_from(
        [
            "States.MathAdd($.n, 1)",
            "States.UUID()",
            "States.Format('{}', $.text)",
            "States.MathRandom(0, 9)",
            "States.Array($.n, $.list)",
        ]
    ),
)
TEMPLATES = st.dictionaries(st.sampled_from(["n.$", "x.$", "text.$"]), EXPRESSIONS, max_size=2).map(
    lambda members: {"list": [{"n": 1}, {}], **members}
)
ERRORS = st.sampled_from(["E", "States.Timeout", "States.TaskFailed", "States.ALL", "States.BranchFailed"])
NAMES = "ABCDE"


def state_of(targets: st.SearchStrategy[str], depth: int, prefix: str) -> st.SearchStrategy[dict[str, Any]]:
    """States that go on with one of the targets or end."""
    ending = st.one_of(targets.map(lambda name: {"Next": name}), st.just({"End": True}))
    filters = st.fixed_dictionaries({}, optional={"InputPath": PATHS, "OutputPath": PATHS})
    result = st.fixed_dictionaries({}, optional={"Parameters": TEMPLATES, "ResultPath": TARGETS})
    retrier = st.fixed_dictionaries(
        {"ErrorEquals": st.lists(ERRORS, min_size=1, max_size=1)},
        optional={"MaxAttempts": st.integers(0, 2), "JitterStrategy": st.sampled_from(["FULL", "NONE"])},
    )
    catcher = st.fixed_dictionaries(
        {"ErrorEquals": st.lists(ERRORS, min_size=1, max_size=1), "Next": targets},
        optional={"ResultPath": TARGETS},
    )
    attempts = st.fixed_dictionaries(
        {},
        optional={
            "Retry": st.lists(retrier, max_size=1),
            "Catch": st.lists(catcher, max_size=1),
            "ResultSelector": TEMPLATES,
        },
    )

    def joined(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        return st.tuples(*parts).map(
            lambda dictionaries: {key: value for one in dictionaries for key, value in one.items()}
        )

    rule = st.tuples(st.sampled_from(["$.n", "$.x"]), st.booleans(), st.integers(0, 4), targets).map(
        lambda parts: (
            {"Variable": parts[0], "IsPresent": True, "Next": parts[3]}
            if parts[1]
            else {"Variable": parts[0], "NumericEquals": parts[2], "Next": parts[3]}
        )
    )
    choices = st.fixed_dictionaries({"Choices": st.lists(rule, min_size=1, max_size=2), "Default": targets})
    kinds = [
        joined(st.just(task(Comment="t")), ending, filters, result, attempts),
        joined(st.just({"Type": "Pass"}), ending, filters, result),
        joined(
            st.just({"Type": "Wait"}),
            st.sampled_from([{"Seconds": 1}, {"SecondsPath": "$.n"}]),
            ending,
            filters,
        ),
        joined(st.just({"Type": "Choice"}), choices, filters),
        st.just({"Type": "Succeed"}),
        st.just({"Type": "Fail", "Error": "E"}),
    ]
    if depth:
        branches = st.tuples(*(machine_of(depth - 1, f"{prefix}{branch}") for branch in "pq")).map(list)
        kinds.append(
            joined(
                branches.map(lambda both: {"Type": "Parallel", "Branches": both}), ending, result, attempts
            )
        )
        processor = machine_of(depth - 1, f"{prefix}m").map(
            lambda inner: {"Type": "Map", "ItemProcessor": inner}
        )
        selected = st.sampled_from([{"ItemsPath": "$.list", "MaxConcurrency": 2}, {"ItemsPath": "$.list"}])
        kinds.append(joined(processor, selected, ending, attempts))
    return st.one_of(*kinds)


def machine_of(depth: int, prefix: str = "") -> st.SearchStrategy[dict[str, Any]]:
    """Machines whose states are named with a prefix."""
    names = [prefix + name for name in (NAMES if not prefix else NAMES[:2])]
    targets = st.sampled_from(names)
    states = st.fixed_dictionaries({name: state_of(targets, depth, prefix) for name in names})
    return states.map(lambda known: {"StartAt": names[0], "States": known})


MACHINES = machine_of(2)


def stored(machine: Machine) -> Machine:
    return msgspec.json.decode(msgspec.json.encode(machine), type=Machine)


def event_for(action: RunTask | StartTimer, source: random.Random) -> Event:
    """Events of a task or a timer."""
    if isinstance(action, StartTimer):
        return TimerFired(action.key)
    match source.randrange(6):
        case 0:
            return TaskFailed(action.key, source.choice(["E", "States.Timeout", "F"]), "why")
        case 1:
            return TaskFailed(action.key, "States.TaskFailed", "again", retry=True)
        case _:
            return TaskSucceeded(action.key, {"n": source.randrange(4), "list": [{"n": 1}], "text": "b"})


class Played:
    """An execution played by a source of random choices."""

    def __init__(self, definition: Definition, seed: int, *, crashes: bool) -> None:
        self.definition = definition
        self.source = random.Random(seed)
        self.crashes = crashes
        self.waiting: dict[str, RunTask | StartTimer] = {}
        self.past: list[Event] = []
        self.history: list[Any] = []
        self.ended = False
        self.machine: Machine
        self.keep(start(definition, DATA, CONTEXT))

    def keep(self, decided: Decided) -> None:
        self.machine = stored(decided.machine) if self.crashes else decided.machine
        self.history.append(decided.actions)
        for action in decided.actions:
            assert not self.ended
            match action:
                case RunTask() | StartTimer():
                    assert action.key not in self.waiting
                    assert len(action.key) <= 100
                    self.waiting[action.key] = action
                case CancelTask(key=key):
                    del self.waiting[key]
                case Succeeded() | Failed():
                    self.ended = True
        assert self.ended is self.machine.ended
        assert bool(self.waiting) is not self.ended

    def play(self, events: int) -> None:
        for _ in range(events):
            if self.ended:
                return
            event = event_for(self.waiting[self.source.choice(sorted(self.waiting))], self.source)
            if self.crashes:
                # The process dies between the decision and its commit: the event comes again.
                decide(self.definition, self.machine, event, CONTEXT)
            assert not isinstance(event, Jump)
            del self.waiting[event.key]
            self.past.append(event)
            self.keep(decide(self.definition, self.machine, event, CONTEXT))


@settings(max_examples=50)
@given(MACHINES, st.integers(0, 2**32))
def test_crashes_between_decisions_change_nothing(raw: dict[str, Any], seed: int) -> None:
    definition = compile_definition(raw)
    smooth, crashing = (Played(definition, seed, crashes=crashes) for crashes in (False, True))
    smooth.play(30)
    crashing.play(30)
    assert smooth.history == crashing.history
    assert stored(smooth.machine) == smooth.machine == crashing.machine


@settings(max_examples=25)
@given(MACHINES, st.integers(0, 2**32))
def test_events_that_are_not_waited_for_change_nothing(raw: dict[str, Any], seed: int) -> None:
    played = Played(compile_definition(raw), seed, crashes=False)
    for _ in range(10):
        played.play(2)
        before = played.machine
        for event in played.past:
            assert decide(played.definition, before, event, CONTEXT) == (before, ())
        for action in played.waiting.values():
            wrong = TimerFired(action.key) if isinstance(action, RunTask) else TaskSucceeded(action.key, {})
            assert decide(played.definition, before, wrong, CONTEXT) == (before, ())


@settings(max_examples=25)
@given(MACHINES, st.integers(0, 2**32), st.sampled_from(NAMES))
def test_an_execution_can_always_go_on_with_another_state(raw: dict[str, Any], seed: int, state: str) -> None:
    played = Played(compile_definition(raw), seed, crashes=True)
    played.play(seed % 7)
    waited = set(played.waiting)
    decided = decide(played.definition, played.machine, Jump(state), CONTEXT)
    cancelled = [action.key for action in decided.actions if isinstance(action, CancelTask)]
    assert sorted(cancelled) == sorted(waited)

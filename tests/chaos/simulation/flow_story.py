"""Stories of workflows: executions with timers, functions and people, cancelled and deleted meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from typing import Any
from unittest import mock

from pagemill.api.auth.tokens import Caller
from pagemill.ids import OrganizationId, PrincipalId
from tests.chaos.simulation.flow_platform import FlowApi, FlowDispatcher, FlowWorld
from tests.chaos.simulation.story import CLIENT_SECONDS, FAULTY_SECONDS, LOOK_SECONDS, Story
from tests.support.tenants import create_tenant

PEOPLE = ("las:user:ada", "las:user:grace")
LATER_SECONDS = 30
"""A timer that is due so much later than everything has ended belongs to something that has ended."""
KILLED = ["Pagemill.FunctionCrashed", "Pagemill.TaskLost", "States.Timeout"]
FUNCTIONS = ("double", "unlucky", "fatal")
PERSON = "person"
TRANSITION = """
INSERT INTO transition (organization_id, id, transition_type, parameters, timeout_in_seconds)
VALUES ($1, $2, $3, $4, 60)
"""
WORKFLOW = """
INSERT INTO workflow (organization_id, id, definition, status) VALUES ($1, $2, $3, 'production')
"""
STANDING = """
SELECT (SELECT count(*) FROM public.workflow_execution WHERE status IN ('running', 'retry')) AS executions,
    (SELECT count(*) FROM public.job WHERE state IN ('queued', 'running')) AS jobs,
    (SELECT min(subject_id) FROM public.job WHERE kind = 'workflow-timer' AND state = 'queued'
        AND run_after > timestamptz 'epoch' + ($1::bigint / 1000000 + $2::integer) * interval '1 second')
        AS forgotten
"""
OUTCOMES = {
    "one": ("succeeded", lambda number: {"number": number}),
    "branches": ("succeeded", lambda number: {"number": number, "results": [{"number": number}] * 3}),
    "items": ("succeeded", lambda number: {"number": number, "items": [{"number": number}] * 3}),
    "fatal": ("failed", lambda _: None),
    "person": ("succeeded", lambda number: {"number": number}),
}
"""Status and output of an execution of each workflow."""


def _transition(organization_id: str, name: str) -> str:
    """Return the id of a transition of an organization."""
    return f"las:transition:{uuid.uuid5(uuid.NAMESPACE_URL, f'{organization_id}:{name}').hex}"


def _definitions(organization_id: str) -> dict[str, dict[str, Any]]:
    def function(name: str, **members: Any) -> dict[str, Any]:
        retry = {
            "ErrorEquals": [*KILLED, "NotYet"],
            "IntervalSeconds": 2,
            "MaxAttempts": 500,
            "BackoffRate": 1,
        }
        return {
            **{"Type": "Task", "Resource": _transition(organization_id, name), "TimeoutSeconds": 20},
            **{"Retry": [retry], "End": True, **members},
        }

    attempt = {"number.$": "$.number", "attempt.$": "$$.State.RetryCount"}
    person = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 500, "BackoffRate": 1}
    states = {
        "one": {"Pass": {"Type": "Pass", "Next": "Do"}, "Do": function("double")},
        "branches": {
            "Together": {
                **{"Type": "Parallel", "ResultPath": "$.results", "End": True},
                "Branches": [
                    {"StartAt": "Do", "States": {"Do": function("double")}},
                    {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 5, "End": True}}},
                    {"StartAt": "Do", "States": {"Do": function("unlucky", Parameters=attempt)}},
                ],
            }
        },
        "items": {
            "Each": {
                **{"Type": "Map", "ItemsPath": "$.items", "ResultPath": "$.items", "MaxConcurrency": 2},
                "ItemProcessor": {"StartAt": "Do", "States": {"Do": function("double")}},
                "End": True,
            }
        },
        "fatal": {"Wait": {"Type": "Wait", "Seconds": 3, "Next": "Do"}, "Do": function("fatal")},
        "person": {"Ask": function(PERSON, TimeoutSeconds=150, HeartbeatSeconds=100, Retry=[person])},
    }
    return {name: {"StartAt": next(iter(those)), "States": those} for name, those in states.items()}


class FlowStory(Story):
    """Everything in it follows from ``seed``; ``expected`` has the workflow and number of each execution."""

    longest_seconds = 2000.0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.world: FlowWorld = FlowWorld(self.server, self.chance, calm=self.calm)
        self.expected: dict[str, tuple[str, int]] = {}
        self.ended_by_somebody: set[str] = set()

    @contextlib.contextmanager
    def _determined(self) -> Iterator[None]:
        async def at_once(function: Any, *arguments: Any) -> Any:
            return function(*arguments)

        with super()._determined(), mock.patch.object(asyncio, "to_thread", at_once):
            yield

    async def _furnish(self) -> str:
        await self._real.script(f"SET simulation.now = {self.server.clock}")
        tenant = await create_tenant(self._real.administration)
        organization_id = tenant.organization_id
        for name in (*FUNCTIONS, PERSON):
            kind, parameters = (
                ("manual", {}) if name == PERSON else ("lambda", {"lambdaId": f"las:lambda:{name}:1"})
            )
            transition_id = _transition(organization_id, name)
            await self._real.admin(TRANSITION, organization_id, transition_id, kind, parameters)
        for name, definition in _definitions(organization_id).items():
            await self._real.admin(WORKFLOW, organization_id, f"{organization_id}:{name}", definition)
        return organization_id

    def _all_have_ended(self) -> bool:
        if self._loop.now < self._looked_at + LOOK_SECONDS:
            return False
        self._looked_at = self._loop.now
        [standing] = self._real.do(self._real.admin(STANDING, self.server.clock, LATER_SECONDS))
        if standing["executions"]:
            return False
        if standing["forgotten"]:
            self.world.broken.append(f"a timer is left behind: {standing['forgotten']}")
        return bool(standing["forgotten"]) or not standing["jobs"]

    async def _main(self) -> None:
        world, chance = self.world, self.chance
        world.keep("api", FlowApi, world.apis)
        for number in range(chance.choice((1, 2, 2))):
            world.keep(f"dispatcher {number}", FlowDispatcher, world.dispatchers)
        clients = [
            asyncio.create_task(self._execute(number, chance.uniform(0.0, FAULTY_SECONDS * 0.6)))
            for number in range(chance.randint(3, 6))
        ]
        self._people = [asyncio.create_task(self._do_steps(name)) for name in PEOPLE]
        trouble = asyncio.create_task(self._trouble())
        await asyncio.sleep(FAULTY_SECONDS)
        self.server.note("nothing goes wrong any more")
        world.faults = False
        await asyncio.gather(trouble, *clients)

    async def _execute(self, number: int, begins: float) -> None:
        """Begin an execution, and end it sometimes before it ends by itself."""
        chance = self.chance
        await asyncio.sleep(begins)
        organization_id, name = chance.choice(self._organizations), chance.choice(sorted(OUTCOMES))
        caller, workflow_id = _caller(organization_id, "las:app-client:one"), f"{organization_id}:{name}"
        data = (
            {"number": number, "items": [{"number": number}] * 3} if name == "items" else {"number": number}
        )
        try:
            async with asyncio.timeout(CLIENT_SECONDS):
                begun = await self._asked(lambda api: api.begin(caller, workflow_id, data))
                if begun is None:
                    return
                self.expected[begun] = name, number
                if chance.random() < 0.25:
                    await asyncio.sleep(chance.uniform(0.0, 15.0))
                    # Noted before it is known to have worked: its answer may be lost.
                    self.ended_by_somebody.add(begun)
                    if chance.random() < 0.5:
                        await self._asked(lambda api: api.cancel(begun))
                    else:
                        await self._asked(lambda api: api.delete(caller, workflow_id, begun))
        except TimeoutError:
            self.world.broken.append("a client was never answered")

    async def _do_steps(self, name: str) -> None:
        """Claim steps, keep some of them alive, report them, or forget them."""
        chance = self.chance
        while True:
            await asyncio.sleep(chance.uniform(2.0, 15.0))
            organization_id = chance.choice(self._organizations)
            caller = _caller(organization_id, name)
            transition_id = _transition(organization_id, PERSON)
            step = await self._asked(lambda api, who=caller, what=transition_id: api.claim(who, what))
            if step is None or chance.random() < 0.2:
                continue
            for _ in range(chance.choice((0, 0, 2))):
                await asyncio.sleep(chance.choice((5.0, 40.0)))
                await self._asked(lambda api, who=caller, one=step: api.beat(who, one))
            await asyncio.sleep(chance.choice((1.0, 10.0, 80.0)))
            await self._asked(lambda api, who=caller, one=step: api.report(who, one))


def _caller(organization_id: str, name: str) -> Caller:
    return Caller(OrganizationId(organization_id), PrincipalId(name))

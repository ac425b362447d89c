"""Clients of a run: they begin executions and do what people do, again and again until it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import httpx

from tests.chaos.flows.definitions import Flow, is_approved

PAUSE_SECONDS = 0.2
BEGINNING_CONCURRENCY = 4
WORKING_SECONDS = 0.3
ANSWER_SECONDS = 10.0


class Clients:
    """What is asked of the API; ``begun`` has the number of each execution that was acknowledged."""

    def __init__(self, api: httpx.AsyncClient, flows: Sequence[Flow], person: str) -> None:
        self._api, self._flows = api, flows
        self._steps = f"/v1/transitions/{person}/executions"
        self.begun: dict[str, int] = {}

    def flow(self, number: int) -> Flow:
        """Return the flow that an execution of this number runs."""
        return self._flows[number % len(self._flows)]

    async def begin(self, numbers: Iterable[int]) -> None:
        """Begin the executions of these numbers; return when all are acknowledged."""
        gate = asyncio.Semaphore(BEGINNING_CONCURRENCY)

        async def begin(number: int) -> None:
            async with gate:
                await self._begin(number)

        await asyncio.gather(*(begin(number) for number in numbers))

    async def _begin(self, number: int) -> None:
        flow = self.flow(number)
        while True:
            answer = await self._ask(
                "POST",
                f"/v1/workflows/{flow.workflow_id}/executions",
                json={"input": flow.data(number)},
                headers={"Idempotency-Key": f"execution {number}"},
            )
            if answer is not None:
                assert answer.status_code == 200, answer.text
                self.begun[answer.json()["executionId"]] = number
                return

    async def do_what_people_do(self) -> None:
        """Claim all steps that wait, keep them alive, report them, until cancelled."""
        while True:
            answer = await self._ask("GET", self._steps, params={"status": "running", "maxResults": 100})
            waiting = [] if answer is None else answer.json()["executions"]
            await asyncio.gather(*(self._do(step) for step in waiting))
            await asyncio.sleep(PAUSE_SECONDS)

    async def _do(self, step: dict[str, Any]) -> None:
        """Do a step as far as the API answers; what is left of it is done the next time."""
        path = f"{self._steps}/{step['executionId']}"
        claimed = await self._ask("POST", f"{path}/claim", json={})
        if claimed is None or claimed.status_code != 200:
            return
        await asyncio.sleep(WORKING_SECONDS)
        await self._ask("POST", f"{path}/heartbeats", json={})
        output = {**step["input"], "approved": is_approved(step["input"]["number"])}
        await self._ask("PATCH", path, json={"status": "succeeded", "output": output})

    async def _ask(self, method: str, path: str, **request: Any) -> httpx.Response | None:
        """Return the answer, None when there is none or the API could not do it now."""
        try:
            answer = await self._api.request(method, path, timeout=ANSWER_SECONDS, **request)
        except httpx.HTTPError:
            await asyncio.sleep(PAUSE_SECONDS)
            return None
        if answer.status_code >= 500:
            await asyncio.sleep(PAUSE_SECONDS)
            return None
        return answer

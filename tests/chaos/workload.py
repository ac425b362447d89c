"""The clients of a run: each operation is sent until it is answered for good, and all of it is recorded."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import httpx

from tests.chaos.checker import ENDED
from tests.chaos.history import Answered, Broken, Kind, Recorder, Seen, Sent
from tests.chaos.plan import Operation
from tests.chaos.world import Member, World
from tests.unit.extraction.documents import text_pdf

WORKERS = 3
"""How many operations an organization has under way."""
REQUEST_SECONDS = 100.0
REPEATED_AFTER = 1.0
WATCHED_EVERY = 1.0
SUBJECTS: dict[Kind, str] = {
    "prediction": "predictionId",
    "prediction-async": "predictionId",
    "document": "documentId",
    "transformation": "transformationId",
    "data-bundle": "dataBundleId",
}


class _Request(NamedTuple):
    method: str
    path: str
    body: dict[str, Any] | None


def open_client(world: World) -> httpx.AsyncClient:
    """Plain HTTPS; nothing is repeated behind our back."""
    environment = world.stack.environment
    return httpx.AsyncClient(
        base_url=environment["LAS_API_ENDPOINT"],
        verify=ssl.create_default_context(cafile=environment["REQUESTS_CA_BUNDLE"]),
        timeout=REQUEST_SECONDS,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
    )


class Workload:
    """``run`` works until every operation is answered for good or given up after ``until`` says so."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        recorder: Recorder,
        members: Sequence[Member],
        prepared: Mapping[int, str],
        model: str,
        *,
        seconds: float,
    ) -> None:
        self._client, self._recorder = client, recorder
        self._members, self._prepared, self._model = members, prepared, model
        self._until = time.monotonic() + seconds
        self._watchers: set[asyncio.Task[None]] = set()
        self.answered = 0

    def give_up_in(self, seconds: float) -> None:
        """Everything is there again: what is not answered by then is not going to be."""
        self._until = min(self._until, time.monotonic() + seconds)

    async def run(self, wanted: Sequence[Operation], *, spread: float = 0.0) -> None:
        """Begin them one after the other, the last one not before ``spread`` seconds have passed."""
        began = time.monotonic()
        begins = {one.number: began + spread * one.number / len(wanted) for one in wanted}
        await asyncio.gather(
            *(
                self._work_off([one for one in wanted if one.organization == number], begins)
                for number in range(len(self._members))
            )
        )

    async def stop_watching(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    async def look_again(self) -> None:
        """What clients see of all predictions, once more."""
        for member in self._members:
            token: str | None = None
            while True:
                page = {"maxResults": "100"} | ({"nextToken": token} if token else {})
                answer = await self._client.get("/predictions", params=page, headers=_bearer(member))
                for found in answer.raise_for_status().json()["predictions"]:
                    self._recorder.note(Seen(subject_id=found["predictionId"], status=found["status"]))
                token = answer.json()["nextToken"]
                if token is None:
                    break

    async def _work_off(self, wanted: list[Operation], begins: Mapping[int, float]) -> None:
        waiting = iter(wanted)

        async def worker() -> None:
            for operation in waiting:
                await asyncio.sleep(begins[operation.number] - time.monotonic())
                await self._see_through(operation)
                self.answered += 1

        await asyncio.gather(*(worker() for _ in range(WORKERS)))

    async def _see_through(self, operation: Operation) -> None:
        attempt = 0
        while True:
            attempt += 1
            answer = await self._send(operation, attempt)
            if answer is not None and answer.status < 500:
                break
            repeated = operation.keyed or operation.kind == "deletion"
            if not repeated or time.monotonic() > self._until:
                break
            await asyncio.sleep(REPEATED_AFTER)
        if answer is not None and operation.kind == "prediction-async" and answer.subject_id:
            watcher = asyncio.create_task(self._watch(operation, answer.subject_id))
            self._watchers.add(watcher)

    async def _send(self, operation: Operation, attempt: int) -> Answered | None:
        member = self._members[operation.organization]
        request = self._request(operation, member)
        headers = _bearer(member)
        if operation.keyed:
            headers["Idempotency-Key"] = f"operation-{operation.number}"
        self._recorder.note(
            Sent(
                operation=operation.number,
                organization_id=member.id,
                kind=operation.kind,
                keyed=operation.keyed,
                attempt=attempt,
            )
        )
        began = time.monotonic()
        try:
            response = await self._client.request(
                request.method, request.path, json=request.body, headers=headers
            )
        except httpx.HTTPError as error:
            self._recorder.note(
                Broken(
                    operation=operation.number,
                    attempt=attempt,
                    seconds=time.monotonic() - began,
                    connected=not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout),
                    error=f"{type(error).__name__}: {error}",
                )
            )
            return None
        answer = _answered(operation, attempt, response, time.monotonic() - began, self._prepared)
        self._recorder.note(answer)
        if response.status_code == 200 and operation.kind.startswith("prediction"):
            self._recorder.note(Seen(subject_id=answer.subject_id or "", status=response.json()["status"]))
        return answer

    def _request(self, operation: Operation, member: Member) -> _Request:
        number, subject = operation.number, self._prepared.get(operation.number, "")
        match operation.kind:
            case "prediction" | "prediction-async":
                body = {"documentId": subject, "modelId": self._model}
                return _Request(
                    "POST", "/predictions", body | {"async": operation.kind == "prediction-async"}
                )
            case "document":
                content = base64.b64encode(_content(operation.pages)).decode()
                return _Request(
                    "POST", "/documents", {"content": content, "metadata": {"operation": str(number)}}
                )
            case "deletion":
                return _Request("DELETE", f"/documents/{subject}", None)
            case "transformation":
                step = {"type": "remove-duplicates", "options": {"operation": number}}
                return _Request("POST", f"/datasets/{subject}/transformations", {"operations": [step]})
            case "data-bundle":
                body = {"datasetIds": [subject], "name": str(number)}
                return _Request("POST", f"/models/{member.model_id}/dataBundles", body)

    async def _watch(self, operation: Operation, prediction_id: str) -> None:
        """Until it has ended; what cannot be read now is read later."""
        headers = _bearer(self._members[operation.organization])
        while True:
            try:
                response = await self._client.get(f"/predictions/{prediction_id}", headers=headers)
            except httpx.HTTPError:
                response = None
            if response is not None and response.status_code == 200:
                status = response.json()["status"]
                self._recorder.note(Seen(subject_id=prediction_id, status=status))
                if status in ENDED:
                    return
            await asyncio.sleep(WATCHED_EVERY)


_CONTENTS: dict[int, bytes] = {}


def _content(pages: int) -> bytes:
    """The same bytes each time: a repetition has to be the same request."""
    return _CONTENTS.setdefault(pages, text_pdf(pages))


def _bearer(member: Member) -> dict[str, str]:
    return {"Authorization": f"Bearer {member.token}"}


def _answered(
    operation: Operation,
    attempt: int,
    response: httpx.Response,
    seconds: float,
    prepared: Mapping[int, str],
) -> Answered:
    try:
        body = response.json()
    except ValueError:
        body = {}
    if operation.kind == "deletion":
        subject = prepared[operation.number] if response.status_code in (200, 404) else None
    else:
        subject = body.get(SUBJECTS[operation.kind])
    return Answered(
        operation=operation.number,
        attempt=attempt,
        status=response.status_code,
        seconds=seconds,
        message=body.get("message"),
        retry_after=response.headers.get("retry-after"),
        subject_id=subject,
    )

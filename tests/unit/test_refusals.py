"""Tests of the bounds of refusals that are counted; what is written is tested with Postgres."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pagemill.audit import AuditEvent
from pagemill.audit import refusals as module
from pagemill.audit.refusals import MOST, MOST_OF_ORGANIZATION, REFILL_SECONDS, Refusals


def refusal(organization: int = 0, principal: int = 0, action: str = "x", resource: str = "r") -> AuditEvent:
    return AuditEvent(
        action=action,
        outcome="refused",
        organization_id=cast("Any", f"las:organization:{organization}"),
        principal_id=cast("Any", f"las:user:{principal}"),
        resource_id=resource,
    )


class _Connection:
    """A connection of which only the transaction is used."""

    def transaction(self) -> _Connection:
        return self

    async def __aenter__(self) -> _Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[AuditEvent]:
    events: list[AuditEvent] = []

    async def keep(_connection: object, event: AuditEvent) -> None:
        events.append(event)

    monkeypatch.setattr(module, "acquire", lambda _pool: _Connection())
    monkeypatch.setattr(module, "record", keep)
    return events


async def test_alike_ones_are_one_event(written: list[AuditEvent]) -> None:
    refusals = Refusals(cast("Any", None))
    for index in range(10_000):
        refusals.add(refusal(resource=f"r{index}"))
    refusals.add(refusal(action="y"))
    await refusals.write()
    assert [(event.action, event.resource_id, event.details) for event in written] == [
        ("x", "r0", {"numberOfRequests": 10_000}),
        ("y", "r", {}),
    ]
    await refusals.write()
    assert len(written) == 2


async def test_an_organization_leaves_room_for_others(written: list[AuditEvent]) -> None:
    refusals = Refusals(cast("Any", None))
    for index in range(1000):
        refusals.add(refusal(principal=index))
    refusals.add(refusal(organization=1))
    await refusals.write()
    assert len(written) == MOST_OF_ORGANIZATION + 1


async def test_all_together_are_bounded_and_begin_anew(
    written: list[AuditEvent], caplog: pytest.LogCaptureFixture
) -> None:
    refusals = Refusals(cast("Any", None))
    for index in range(2 * MOST):
        refusals.add(refusal(organization=index))
    await refusals.write()
    assert len(written) == MOST
    assert f"{MOST} more refusals" in caplog.text
    refusals.add(refusal())
    await refusals.write()
    assert len(written) == MOST + 1


async def test_whoever_goes_on_and_on_gets_one_event_a_minute(written: list[AuditEvent]) -> None:
    """However many actions, principals and addresses are tried, an organization's events are few."""
    now = 0.0
    refusals = Refusals(cast("Any", None), clock=lambda: now)
    for index in range(1000):
        refusals.add(refusal(action=f"a{index % 60}", principal=index))
        now = index * 10.0
        await refusals.write()
    assert len(written) <= MOST_OF_ORGANIZATION + now / REFILL_SECONDS + 1
    assert len(written) > now / REFILL_SECONDS - 1


async def test_what_waits_goes_on_counting(written: list[AuditEvent]) -> None:
    now = 0.0
    refusals = Refusals(cast("Any", None), clock=lambda: now)
    for index in range(MOST_OF_ORGANIZATION):
        refusals.add(refusal(action=f"a{index}"))
    await refusals.write()
    for _ in range(5):
        refusals.add(refusal(action="late"))
        await refusals.write()
    assert len(written) == MOST_OF_ORGANIZATION
    now = REFILL_SECONDS
    await refusals.write()
    assert [event.details for event in written[MOST_OF_ORGANIZATION:]] == [{"numberOfRequests": 5}]


async def test_strangers_leave_room_for_the_organization_s_own(written: list[AuditEvent]) -> None:
    refusals = Refusals(cast("Any", None))
    for index in range(1000):
        refusals.add(refusal(principal=index, action="createToken"), of_stranger=True)
    refusals.add(refusal())
    await refusals.write()
    assert [event.action for event in written].count("x") == 1
    assert len(written) == MOST_OF_ORGANIZATION + 1

"""The router: few replicas for a model, several for a busy one, the same in every process."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from types import SimpleNamespace
from typing import Any, cast

from ray.serve.request_router import PendingRequest

from serve_apps.model_router import REQUESTS_PER_HOME, ModelRouter, in_order

NAMES = [f"replica {number}" for number in range(8)]
MODELS = [f"organizations/o/trainings/{number}/artefact/" for number in range(2000)]
REPLICAS = [cast("Any", SimpleNamespace(replica_id=SimpleNamespace(unique_id=name))) for name in NAMES]


class Router(ModelRouter):
    """A router without a cluster."""

    def __init__(self) -> None:
        self.initialize_state()


def request(model: str, number: int) -> PendingRequest:
    metadata = SimpleNamespace(multiplexed_model_id=model, internal_request_id=str(number))
    return PendingRequest(args=[], kwargs={}, metadata=cast("Any", metadata))


async def homes(router: Router, pending: PendingRequest) -> list[list[str]]:
    return [
        [replica.replica_id.unique_id for replica in group]
        for group in await router.choose_replicas(REPLICAS, pending)
    ]


def test_every_process_has_the_same_order_whatever_it_hears_first() -> None:
    for model in MODELS[:50]:
        assert in_order(model, NAMES) == in_order(model, NAMES[::-1])


def test_models_are_spread_evenly() -> None:
    firsts = Counter(in_order(model, NAMES)[0] for model in MODELS)
    assert set(firsts) == set(NAMES)
    assert max(firsts.values()) < 1.25 * len(MODELS) / len(NAMES)


def test_a_replica_more_or_less_moves_only_its_own_models() -> None:
    gone = NAMES[3]
    rest = [name for name in NAMES if name != gone]
    for model in MODELS:
        assert [name for name in in_order(model, NAMES) if name != gone] == in_order(model, rest)


async def test_a_quiet_model_has_one_home_and_a_busy_one_several() -> None:
    router = Router()
    order = in_order("busy", NAMES)
    for number in range(3 * REQUESTS_PER_HOME):
        first, *rest = await homes(router, request("busy", number))
        assert first == order[: 1 + number // REQUESTS_PER_HOME]
        assert [first, *rest] == [first, *([name] for name in order[len(first) :])]
    quiet = await homes(router, request("quiet", 1000))
    assert quiet == [[name] for name in in_order("quiet", NAMES)]


async def test_a_request_counts_until_it_has_ended_and_once() -> None:
    router = Router()
    pending = [request("model", number) for number in range(REQUESTS_PER_HOME)]
    for _ in range(3):
        for one in pending:
            await homes(router, one)
    assert len((await homes(router, request("model", 100)))[0]) == 2
    for one in pending:
        router.on_request_completed(REPLICAS[0].replica_id, one.metadata.internal_request_id)
    assert len((await homes(router, request("model", 101)))[0]) == 1


async def test_nothing_is_kept_of_a_request_that_was_routed() -> None:
    """Of neither its id nor its model, by Ray's own methods."""
    router = Router()
    by_id = router._pending_requests_by_id = {}
    by_model = router._pending_requests_by_model_id = defaultdict(deque)
    pending = [request("model", number) for number in range(3)]
    for one in pending:
        router._add_pending_request_to_indices(one)
        assert router._get_pending_request_matching_internal_request_id(one.metadata) is one
    for one in pending:
        one.future.set_result(REPLICAS[0])
        router._remove_pending_request_from_indices(one)
    assert not by_id
    assert not any(by_model.values())


async def test_what_is_cancelled_before_it_is_sent_counts_no_more() -> None:
    router = Router()
    for number in range(REQUESTS_PER_HOME):
        pending = request("model", number)
        await homes(router, pending)
        pending.future.cancel()
    await asyncio.sleep(0)
    assert len((await homes(router, request("model", 100)))[0]) == 1


async def test_without_a_request_all_are_asked() -> None:
    assert await Router().choose_replicas(REPLICAS) == [REPLICAS]

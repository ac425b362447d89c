"""Router of predictions: a model stays on few replicas, and a busy one is on several.

Serve runs a router in each process that holds a handle. They agree without talking: the order of a model's
replicas follows from the names of both alone. Serve copies this module by value to these processes.
"""

from __future__ import annotations

import hashlib
from asyncio import Future
from collections.abc import Sequence
from typing import Any

from ray.serve.config import RequestRouterConfig
from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

REQUESTS_PER_HOME = 4
"""Requests for one model at a time, from one process, that one replica gets: as many run as wait."""


def in_order(model: str, names: Sequence[str]) -> list[str]:
    """Return the replicas in a model's order: another replica more or less leaves that of the others.

    This is rendezvous hashing (Thaler and Ravishankar, 1998).
    """
    return sorted(
        names, key=lambda name: hashlib.blake2b(f"{model}\0{name}".encode(), digest_size=8).digest()
    )


def router_configuration() -> RequestRouterConfig:
    """Return the configuration of a deployment whose requests name models."""
    return RequestRouterConfig(request_router_class=ModelRouter)  # type: ignore[arg-type]


class ModelRouter(RequestRouter):
    """A router by ``multiplexed_model_id``.

    A model's requests go to the first replica of its order, and to another one for each
    ``REQUESTS_PER_HOME`` of them under way, of these to the one with the fewest requests. Where all of them
    are full, the others follow in the model's order.
    """

    def initialize_state(self, **kwargs: Any) -> None:
        """Begin without a request."""
        super().initialize_state(**kwargs)  # type: ignore[no-untyped-call]
        self._model_of: dict[str, str] = {}
        self._requests_of: dict[str, int] = {}

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """Return the replicas to ask, in groups: of each the one with the fewest requests is asked first."""
        if pending_request is None:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True
        model = pending_request.metadata.multiplexed_model_id
        homes = 1 + (self._count(pending_request, model) - 1) // REQUESTS_PER_HOME
        by_name = {replica.replica_id.unique_id: replica for replica in candidate_replicas}
        ordered = [by_name[name] for name in in_order(model, list(by_name))]
        return [ordered[:homes], *([replica] for replica in ordered[homes:])]

    def _add_pending_request_to_indices(self, pending_request: PendingRequest) -> None:
        """Remember a request until it is routed, by its id alone.

        Ray 2.60 also keeps each by its model, with its arguments, until a router of Serve's own looks for
        requests of that model. This one does not: it would keep them for ever.
        """
        self._pending_requests_by_id[pending_request.metadata.internal_request_id] = pending_request

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """Count a request no more; a refused one counts again when it is routed again."""
        super().on_request_completed(replica_id, internal_request_id)
        self._forget(internal_request_id)

    def _count(self, request: PendingRequest, model: str) -> int:
        """Count a request, once, and return how many of its model are under way."""
        request_id = request.metadata.internal_request_id
        if request_id not in self._model_of:
            self._model_of[request_id] = model
            self._requests_of[model] = self._requests_of.get(model, 0) + 1

            def forget_a_cancelled_one(routed: Future[RunningReplica]) -> None:
                if routed.cancelled():
                    self._forget(request_id)

            request.future.add_done_callback(forget_a_cancelled_one)
        return self._requests_of[model]

    def _forget(self, request_id: str) -> None:
        model = self._model_of.pop(request_id, None)
        if model is not None:
            self._requests_of[model] -= 1
            if not self._requests_of[model]:
                del self._requests_of[model]

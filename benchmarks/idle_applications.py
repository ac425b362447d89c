"""Serve applications that do nothing, on a bare Ray: ``python -m benchmarks.idle_applications``.

With ``predictions`` they replace the reading and prediction applications on the Ray of a stack; the durations
of their calls, and of the reservations that a job makes there, are written to the standard output as JSON.
With ``beside`` one runs beside them for a moment, and the duration of a call is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

import ray
from ray import serve
from ray.serve import RunTarget

from benchmarks.timing import repeated
from pagemill.applications.found_fields import Predictions
from pagemill.applications.requests import (
    PREDICTION,
    READING,
    PredictionRequest,
    ReadingRequest,
    ReadingResponse,
)
from pagemill.documents.words import DocumentPages
from pagemill.settings import load_settings
from pagemill.usage.client import UsageClient
from pagemill.usage.reservations import JobEnded
from serve_apps.model_router import router_configuration

BARE = "bare"
DEPLOYMENTS = {READING: "PageReading", PREDICTION: "FieldPrediction", BARE: "Nothing"}
"""The handles of the dispatcher name these."""
ONGOING = 64


class Nothing:
    """Application that reads no page and finds nothing on it."""

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """Return one page."""
        pages = DocumentPages(
            content_key=request.content_key,
            options=request.options,
            number_of_pages=1,
            indexes=[0],
        )
        return ReadingResponse(pages=pages, missing=[], next_page=None)

    async def predict(self, _request: PredictionRequest) -> Predictions:
        """Return no fields."""
        return []


class Prober:
    """Actor of the cluster that makes the calls that the dispatcher makes."""

    def __init__(self) -> None:
        self._settings = load_settings(os.environ)

    async def probe(self, organization_id: str) -> dict[str, dict[str, float]]:
        """Return the medians, in milliseconds, in each rhythm."""
        usage = UsageClient(self._settings)

        async def reserve() -> None:
            # There is no such job: all is done that a reservation takes, but for the rows.
            with contextlib.suppress(JobEnded):
                await usage.reserve(organization_id, "none", {"pages": 1}, attempt=1)

        try:
            return {**await self.call(READING), "reservation": await repeated(reserve)}
        finally:
            await usage.close()

    async def call(self, application: str) -> dict[str, dict[str, float]]:
        """Return the median of a call of an application, in milliseconds, in each rhythm."""
        handle = await asyncio.to_thread(serve.get_app_handle, application)
        request = ReadingRequest(content_key="none")

        async def read() -> None:
            await handle.read.remote(request)

        return {"serveCall": await repeated(read)}


def main() -> None:
    """Deploy the applications and leave; they stay."""
    settings = load_settings(os.environ)
    ray.init(
        address=settings.ray_address,
        namespace=settings.ray_namespace,
        log_to_driver=False,
        configure_logging=False,
    )
    names = [READING, PREDICTION] if "predictions" in sys.argv else [BARE]
    serve.start(proxy_location="Disabled", logging_config={"enable_access_log": False})
    serve.run_many([RunTarget(_application(name), name=name, route_prefix=None) for name in names])
    prober: Any = ray.remote(num_cpus=0)(Prober).remote()
    if "predictions" in sys.argv:
        print(json.dumps(ray.get(prober.probe.remote(sys.argv[-1]), timeout=120)))
    elif "beside" in sys.argv:
        print(json.dumps(ray.get(prober.call.remote(BARE), timeout=120)))
        serve.delete(BARE)
    ray.shutdown()


def _application(name: str) -> Any:
    deployment = serve.deployment(
        Nothing,
        name=DEPLOYMENTS[name],
        num_replicas=1,
        max_ongoing_requests=ONGOING,
        ray_actor_options={"num_cpus": 0.1},
        logging_config={"enable_access_log": False},
        health_check_period_s=5.0,
        request_router_config=router_configuration(),
    )
    return deployment.bind()


if __name__ == "__main__":
    main()

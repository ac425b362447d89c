"""Trainings on GPUs that only Ray knows of: ``python -m benchmarks.pretended_gpu`` dispatches them.

Everything is the product's but the device: a worker that Ray gives a GPU trains on a CPU, and counts the GPU.
The product itself refuses a GPU that torch cannot use.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any
from unittest import mock

import ray

from db.pool import create_pool
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.jobs.job import Job
from pagemill.jobs.kind import RunnableKind
from pagemill.settings import Settings, load_settings
from pagemill.work.trainings import TRAINING, TrainingResult
from train_jobs.train import TrainingActor, TrainingRunner, train

OWNER = "rehearsal"


def pretending_worker(config: dict[str, Any]) -> None:
    """Train as the product's worker does, on a CPU in place of the GPU that Ray gave."""
    import torch

    from train_jobs import worker

    device = worker.Device(torch.device("cpu"), 1)
    with mock.patch.object(worker, "device_of_worker", return_value=device):
        worker.train_worker(config)


class PretendingActor(TrainingActor):
    """Driver of one training whose workers pretend."""

    @ray.method
    def run(self, job: Job) -> TrainingResult:
        """Run the job."""
        return train(load_settings(os.environ), job, loop=pretending_worker)


async def dispatch(settings: Settings) -> None:
    """Run trainings until the process is asked to end."""
    pool = await create_pool(settings.database_url, size=4)
    kind = RunnableKind(
        kind=TRAINING,
        run=TrainingRunner(settings, PretendingActor),
        concurrency=settings.training_concurrency,
        interval=0.0,
    )
    dispatcher = Dispatcher(
        pool,
        [kind],
        owner=OWNER,
        lease=settings.job_lease,
        heartbeat=settings.job_heartbeat,
        poll=settings.job_poll,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, dispatcher.stop)
    await dispatcher.run()
    await pool.close()


def main() -> int:
    """Connect, dispatch and disconnect."""
    settings = load_settings(os.environ)
    ray.init(
        address=settings.ray_address,
        namespace=settings.ray_namespace,
        log_to_driver=False,
        configure_logging=False,
    )
    try:
        asyncio.run(dispatch(settings))
    finally:
        ray.shutdown()
    return 0


if __name__ == "__main__":
    # Ray's workers import the classes by the name of their module.
    from benchmarks.pretended_gpu import main as run

    sys.exit(run())

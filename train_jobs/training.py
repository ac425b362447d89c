"""Training jobs, seen from the dispatcher: one actor for each, which dies with its job."""

from __future__ import annotations

import ray

from pagemill.applications.calling import answer_of
from pagemill.jobs.job import Job
from pagemill.work.trainings import TrainingResult


class TrainingRunner:
    """Runs one training job. Cancelled, it kills the actor, and with it all that the actor started."""

    async def __call__(self, job: Job) -> TrainingResult:
        """Raises BadRequest when there is nothing to learn from; another try resumes from the checkpoint."""
        actor = ray.remote(num_cpus=0)(TrainingActor).remote()
        try:
            return await answer_of(actor.run.remote(job), seconds=None, who="Training", alone=True)
        finally:
            ray.kill(actor)


class TrainingActor:
    """The driver of one training; its workers take the CPUs and GPUs."""

    def run(self, job: Job) -> TrainingResult:
        """The whole job."""
        from train_jobs.training_run import run_training  # Ray Train takes seconds to import

        return run_training(job)

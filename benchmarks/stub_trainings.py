"""A training on stub documents, by the product's own way, and its epochs as its checkpoints show them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import asyncpg
import msgspec

from benchmarks.stub_callers import Submitter
from benchmarks.stub_documents import StubContent
from pagemill.ids import DatasetId, JobId, ModelId, TrainingId, new_id
from pagemill.jobs.kind import AnyKind
from pagemill.jobs.queue import enqueue
from pagemill.work.data_bundles import DATA_BUNDLE
from pagemill.work.trainings import TRAINING
from tests.support.labelled import Labelled, store_data_bundle, store_document, store_training
from tests.support.working import until_ended

FIELD = "total"
EPOCH_FILE = "epoch"
"""File of a checkpoint; ``train_jobs.worker`` has its name, and takes seconds to import."""
BUNDLE_SECONDS = 240.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Bundle:
    """A data bundle that is there, and its model."""

    labelled: Labelled
    data_bundle_id: str


async def make_bundle(submitter: Submitter, contents: Sequence[StubContent]) -> Bundle:
    """Have a data bundle of labelled documents made. Raises RuntimeError."""
    labelled = await _store(submitter, contents)
    bundle = Bundle(labelled, await store_data_bundle(submitter.pool, labelled))
    job_id = await _queue(submitter, DATA_BUNDLE, bundle.data_bundle_id)
    if await until_ended(submitter.pool, job_id, seconds=BUNDLE_SECONDS) != ["succeeded"]:
        raise RuntimeError("the data bundle was not made")
    return bundle


async def queue_training(submitter: Submitter, bundle: Bundle) -> TrainingId:
    """Queue a training on a data bundle."""
    training_id = TrainingId(await store_training(submitter.pool, bundle.labelled, [bundle.data_bundle_id]))
    await _queue(submitter, TRAINING, training_id)
    return training_id


async def _queue(submitter: Submitter, kind: AnyKind, subject_id: str) -> JobId:
    async with submitter.pool.acquire() as connection, connection.transaction():
        return await enqueue(
            connection, kind, organization_id=submitter.organization_id, subject_id=subject_id
        )


async def _store(submitter: Submitter, contents: Sequence[StubContent]) -> Labelled:
    model_id, dataset_id = new_id(ModelId), new_id(DatasetId)
    await submitter.pool.execute(
        "INSERT INTO model (organization_id, id, field_config, preprocess_config) VALUES ($1, $2, $3, $4)",
        submitter.organization_id,
        model_id,
        {FIELD: {"type": "string"}},
        {"maxPages": 1},
    )
    await submitter.pool.execute(
        "INSERT INTO dataset (organization_id, id, number_of_documents) VALUES ($1, $2, $3)",
        submitter.organization_id,
        dataset_id,
        len(contents),
    )
    for content in contents:
        await store_document(
            submitter.pool,
            submitter.objects,
            submitter.organization_id,
            msgspec.json.encode(content),
            ground_truth=[{"label": FIELD, "value": content.name}],
            dataset_id=dataset_id,
        )
    return Labelled(submitter.organization_id, model_id, dataset_id)


@dataclass(frozen=True, slots=True)
class TrainingEnd:
    """End of a training: its status, and the attempts of its job."""

    status: str
    attempts: int


async def training_end(pool: asyncpg.Pool, training_id: TrainingId, *, seconds: float) -> TrainingEnd:
    """Wait until the job of a training has ended. Raises TimeoutError."""
    job_id = await pool.fetchval("SELECT id FROM job WHERE subject_id = $1", training_id)
    await until_ended(pool, job_id, seconds=seconds)
    row = await pool.fetchrow(
        "SELECT training.status, job.attempt FROM training JOIN job ON job.subject_id = training.id"
        " WHERE training.id = $1",
        training_id,
    )
    assert row is not None
    return TrainingEnd(row["status"], row["attempt"])


@dataclass(frozen=True, slots=True)
class SavedEpoch:
    """An epoch that a checkpoint was seen with, and when, in seconds since the epoch of Unix."""

    at: float
    epoch: int


class EpochWatch:
    """Watch of the newest checkpoint below a directory, from its start to ``close``."""

    def __init__(self, objects: Path) -> None:
        self.seen: list[SavedEpoch] = []
        self._objects = objects
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="epochs", daemon=True)
        self._thread.start()

    def until_more(self, *, seconds: float) -> None:
        """Return when a further checkpoint has been seen. Raises TimeoutError."""
        deadline, before = time.monotonic() + seconds, len(self.seen)
        while len(self.seen) == before:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no further checkpoint: {self.seen}")
            time.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """Watch no more."""
        self._closing.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            epoch = newest_epoch(self._objects)
            if epoch is not None and (not self.seen or self.seen[-1].epoch != epoch):
                self.seen.append(SavedEpoch(time.time(), epoch))


def newest_epoch(objects: Path) -> int | None:
    """Return the epoch of the checkpoint that was written last; None while there is none."""
    found = []
    for file in objects.rglob(EPOCH_FILE):
        try:
            found.append((file.stat().st_mtime, int(file.read_text())))
        except (OSError, ValueError):
            # It has just been deleted, or is being written.
            continue
    return max(found)[1] if found else None


def goes_on(seen: Sequence[SavedEpoch], lost: float) -> bool:
    """Return whether no epoch came twice, and some came after the workers were lost."""
    return all(earlier.epoch < later.epoch for earlier, later in pairwise(seen)) and any(
        one.at > lost for one in seen
    )

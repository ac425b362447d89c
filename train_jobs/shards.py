"""Examples of a training, worker by worker: each reads its own, and no other's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import ray.train

from pagemill.extraction.types import Example
from pagemill.objects import open_objects
from pagemill.settings import Settings
from train_jobs.bundle_dataset import decode_example, iterate_examples

if TYPE_CHECKING:
    import ray.data

Item = TypeVar("Item")

DATASET = "examples"
BLOCK_BYTES = 128 * 1024
"""Blocks go to workers as a whole: small ones leave them equal shares."""


class Shards(ray.train.DataConfig):
    """Configuration that gives each worker about as many documents, leaves out none, and repeats itself.

    Ray Train's own would leave out documents to give each worker exactly as many.
    """

    def configure(
        self, datasets: dict[str, ray.data.Dataset], world_size: int, *_rest: Any, **_more: Any
    ) -> list[dict[str, ray.data.DataIterator]]:
        """Return the shard of each worker."""
        dataset = datasets[DATASET]
        dataset = dataset.copy(dataset)
        dataset.context.target_max_block_size = BLOCK_BYTES
        dataset.context.execution_options = self.default_ingest_options()
        dataset.context.execution_options.preserve_order = True
        return [{DATASET: shard} for shard in dataset.streaming_split(world_size, equal=False)]


def shard_of_worker() -> Iterator[Example]:
    """Yield this worker's examples of the data set. All workers have to read at the same time."""
    for row in ray.train.get_dataset_shard(DATASET).iter_rows():
        yield decode_example(row["example"])


def all_examples(settings: Settings, bundle_keys: Sequence[str]) -> Iterator[Example]:
    """Yield all examples, for the only worker: without Ray Data, which takes seconds to begin.

    Runs an event loop of its own. Raises ObjectMissing, Unavailable.
    """
    with asyncio.Runner() as runner:
        objects = open_objects(settings)
        try:
            iterator = iterate_examples(objects, bundle_keys)
            while (example := runner.run(_next(iterator))) is not None:
                yield example
        finally:
            runner.run(objects.close())


async def _next(iterator: AsyncIterator[Item]) -> Item | None:
    return await anext(iterator, None)

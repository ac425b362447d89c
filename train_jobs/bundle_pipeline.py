"""The stage of data bundles on Ray Data: blocks of documents go in, what became of them comes out.

Words do not pass through Ray: the stage takes them from where they were stored as they were read, and writes
the files. So what Ray Data holds does not grow with a bundle.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

import msgspec
import ray.data
from ray.data import ActorPoolStrategy

from pagemill.applications.clients import ReadingApplication, ReadingClient, parts_at_once
from pagemill.background import stay_in_background
from pagemill.objects import open_objects
from pagemill.pools import bundle_stage
from pagemill.settings import Settings, load_settings
from train_jobs.bundle_blocks import BlockOutcome, DocumentBlock
from train_jobs.bundle_dataset import NEVER
from train_jobs.bundle_stage import DocumentBundler

READING_SECONDS = 3600.0
"""A part waits for its turn behind others; the reader itself limits the time of a part."""
PARTS_PER_ACTOR = 32
MAXIMUM_ACTORS = 4
"""They share the head with the dispatcher. One packs the words of several hundred pages a second."""
MAXIMUM_BLOCKS_AT_ONCE = 32

_encoder = msgspec.msgpack.Encoder()
_block_decoder = msgspec.msgpack.Decoder(DocumentBlock)
_outcome_decoder = msgspec.msgpack.Decoder(BlockOutcome)


async def bundle_on_ray_data(
    settings: Settings,
    name: str,
    blocks: Sequence[DocumentBlock],
    stage: type[BundleStage] | None = None,
) -> AsyncGenerator[BlockOutcome, None]:
    """Yield the outcomes of blocks as they end. Ray's dashboard shows the work under ``name``."""
    if not blocks:
        return
    outcomes = await asyncio.to_thread(_start, settings, name, blocks, stage or BundleStage)
    try:
        while (batch := await asyncio.to_thread(next, outcomes, None)) is not None:
            for content in batch["outcome"].to_pylist():
                yield _outcome_decoder.decode(content)
    finally:
        # Ends the work of an iteration that was left early.
        outcomes.close()


def _start(settings: Settings, name: str, blocks: Sequence[DocumentBlock], stage: type[BundleStage]) -> Any:
    actors = min(MAXIMUM_ACTORS, math.ceil(parts_at_once(settings) / PARTS_PER_ACTOR))
    at_once = blocks_at_once(math.ceil(parts_at_once(settings) / actors), len(blocks[0].documents))
    dataset = ray.data.from_items(
        [{"block": _encoder.encode(block)} for block in blocks], override_num_blocks=len(blocks)
    ).map(
        cast("Any", stage),  # Ray's types do not know classes here.
        fn_constructor_kwargs={"parts": math.ceil(parts_at_once(settings) / actors)},
        compute=ActorPoolStrategy(
            size=actors,
            max_concurrent_calls_per_actor=at_once,
            max_tasks_in_flight_per_actor=at_once,
            enable_true_multi_threading=True,
        ),
        **bundle_stage().actor_options,
    )
    dataset.set_name(name)
    dataset.context.enable_progress_bars = False
    # A block takes as long as its documents wait behind others, or for a node.
    dataset.context.execution_no_progress_timeout_s = NEVER
    return iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))


def blocks_at_once(parts: int, documents: int) -> int:
    """Return how many blocks of so many documents an actor makes at a time.

    While some of their words are packed, the others have enough documents for all parts that are read.
    """
    return min(MAXIMUM_BLOCKS_AT_ONCE, max(2, math.ceil(2 * parts / documents)))


class BundleStage:
    """Actor of Ray Data that bundles blocks, several at a time: each call has a thread, all have one loop.

    The loop stays: the routers of Serve handles live in the event loop of the first call.
    """

    def __init__(self, *, parts: int) -> None:
        settings = load_settings(os.environ)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, name="bundle-stage", daemon=True).start()
        self._bundler = DocumentBundler(
            open_objects(settings),
            self.find_reading(),
            parts=parts,
            pages_per_document=settings.training_pages_per_document,
        )

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row with the outcome of a row with a block."""
        bundling = self._bundler.bundle(_block_decoder.decode(row["block"]))
        outcome = asyncio.run_coroutine_threadsafe(bundling, self._loop).result()
        return {"outcome": _encoder.encode(outcome)}

    def _run(self) -> None:
        """Run the loop, and what it has threads do, in the background: predictions go before bundles."""
        stay_in_background()
        self._loop.run_forever()

    def find_reading(self) -> ReadingClient:
        """Return the client that has pages read. Raises RayServeException without the application."""
        return ReadingApplication.find(seconds=READING_SECONDS)

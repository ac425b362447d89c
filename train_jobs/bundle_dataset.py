"""Examples of data bundles, as trainings take them: one for each document of their Parquet files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from pagemill.documents import bundle_files
from pagemill.documents.bundle_contents import load_contents
from pagemill.extraction.types import Example
from pagemill.objects.opening import open_objects
from pagemill.objects.store import ObjectStore
from pagemill.pools import bundle_stage
from pagemill.settings import Settings, load_settings

if TYPE_CHECKING:
    import ray.data

FILES_AT_ONCE = 2
"""Files of one training that are loaded at the same time."""

NEVER = -1
"""Ray Data's word for: a standstill is no failure."""

_example_encoder = msgspec.msgpack.Encoder()
_example_decoder = msgspec.msgpack.Decoder(Example)


class FilePart(msgspec.Struct, frozen=True):
    """Documents of one Parquet file that a training takes."""

    key: str
    documents: list[str]


_part_encoder = msgspec.msgpack.Encoder()
_part_decoder = msgspec.msgpack.Decoder(FilePart)


async def parts_of(objects: ObjectStore, bundle_keys: Sequence[str]) -> list[FilePart]:
    """Return what to load of several bundles, whose keys come oldest first.

    A document that is in several bundles is taken from the newest. Raises ObjectMissing, Unavailable.
    """
    seen: set[str] = set()
    parts: list[FilePart] = []
    for bundle_key in reversed(bundle_keys):
        contents = await load_contents(objects, bundle_key)
        for file in reversed(contents.files):
            if documents := [one for one in file.documents if one not in seen]:
                parts.append(FilePart(bundle_key + file.name, documents))
        seen.update(document for file in contents.files for document in file.documents)
    return parts[::-1]


async def load_part(objects: ObjectStore, part: FilePart) -> list[Example]:
    """Return the examples of a part. Raises ObjectMissing, Unavailable."""
    content = await objects.get(part.key)
    return await asyncio.to_thread(_examples, content, frozenset(part.documents))


def _examples(content: bytes, documents: Collection[str]) -> list[Example]:
    examples = bundle_files.from_table(bundle_files.decode(content))
    return [example for example in examples if example.document_id in documents]


async def iterate_examples(objects: ObjectStore, bundle_keys: Sequence[str]) -> AsyncIterator[Example]:
    """Yield the examples of bundles, whose keys come oldest first, with one file in memory at a time.

    Raises ObjectMissing, Unavailable.
    """
    for part in await parts_of(objects, bundle_keys):
        for example in await load_part(objects, part):
            yield example


def examples_dataset(settings: Settings, name: str, bundle_keys: Sequence[str]) -> ray.data.Dataset:
    """Return the examples of bundles, whose keys come oldest first, as a Ray data set.

    Its rows are one document each: ``document`` is the id, ``example`` the bytes for ``decode_example``. The
    files are loaded while the data set is consumed, by workers that take the storage from their environment.
    Ray's dashboard shows this under ``name``. Blocks for two small requests, and may not be called on an
    event loop. Raises ObjectMissing, Unavailable.
    """
    import ray.data

    parts = asyncio.run(_find_parts(settings, bundle_keys))
    dataset = ray.data.from_items(
        [{"part": _part_encoder.encode(part)} for part in parts], override_num_blocks=max(1, len(parts))
    ).flat_map(_load_rows, concurrency=FILES_AT_ONCE, **bundle_stage().actor_options)
    dataset.set_name(name)
    # It stands still while its consumers train on what they have.
    dataset.context.execution_no_progress_timeout_s = NEVER
    return dataset


def encode_example(example: Example) -> bytes:
    """Return the bytes of an example as they are in a data set."""
    return _example_encoder.encode(example)


def decode_example(content: bytes) -> Example:
    """Return the example that ``encode_example`` was given. Raises msgspec.MsgspecError."""
    return _example_decoder.decode(content)


async def _find_parts(settings: Settings, bundle_keys: Sequence[str]) -> list[FilePart]:
    objects = open_objects(settings)
    try:
        return await parts_of(objects, bundle_keys)
    finally:
        await objects.close()


def _load_rows(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of one part, in a worker of Ray Data."""
    examples = asyncio.run(_load(load_settings(os.environ), _part_decoder.decode(row["part"])))
    return [{"document": one.document_id, "example": encode_example(one)} for one in examples]


async def _load(settings: Settings, part: FilePart) -> list[Example]:
    objects = open_objects(settings)
    try:
        return await load_part(objects, part)
    finally:
        await objects.close()

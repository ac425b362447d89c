"""Examples of several data bundles: each document once, as it is in the newest."""

from __future__ import annotations

import pytest

from pagemill.documents import bundle_files
from pagemill.documents.bundle_contents import BundleContents, BundleFile, save_contents
from pagemill.extraction.types import Example, Page, Word
from pagemill.objects import ObjectMissing, ObjectStore
from train_jobs.bundle_dataset import (
    decode_example,
    encode_example,
    iterate_examples,
    parts_of,
)

OLD, NEW = "organizations/o/data-bundles/1/a/", "organizations/o/data-bundles/2/a/"


def example(name: str, value: str = "1") -> Example:
    page = Page(0, 1.0, "text", [Word(name, 0.0, 0.0, 1.0, 1.0)])
    return Example(name, [page], [{"label": "total", "value": value}])


async def store(objects: ObjectStore, bundle_key: str, *files: list[Example]) -> None:
    """Store a bundle with some examples in each of its files."""
    named = []
    for number, examples in enumerate(files):
        name = f"part-{number}.parquet"
        await objects.put(bundle_key + name, bundle_files.encode(bundle_files.to_table(examples)))
        named.append(BundleFile(name, [one.document_id for one in examples]))
    await save_contents(objects, bundle_key, BundleContents(named))


async def test_examples_come_in_the_order_of_the_files(objects: ObjectStore) -> None:
    await store(objects, OLD, [example("c"), example("a")], [example("b")])
    found = [one async for one in iterate_examples(objects, [OLD])]
    assert found == [example("c"), example("a"), example("b")]


async def test_a_document_in_several_bundles_is_taken_from_the_newest(objects: ObjectStore) -> None:
    await store(objects, OLD, [example("a", "old"), example("b", "old")], [example("c", "old")])
    await store(objects, NEW, [example("c", "new")], [example("a", "new")])
    found = [one async for one in iterate_examples(objects, [OLD, NEW])]
    assert found == [example("b", "old"), example("c", "new"), example("a", "new")]
    assert len(await parts_of(objects, [OLD, NEW])) == 3


async def test_a_bundle_without_documents(objects: ObjectStore) -> None:
    await store(objects, OLD)
    assert [one async for one in iterate_examples(objects, [OLD])] == []


async def test_a_bundle_that_is_gone(objects: ObjectStore) -> None:
    with pytest.raises(ObjectMissing):
        await parts_of(objects, [OLD])


def test_an_example_is_decoded_as_it_was_encoded() -> None:
    assert decode_example(encode_example(example("a"))) == example("a")

"""Data bundles on Ray Data, on a Ray of their own."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pagemill.documents import bundle_files
from pagemill.documents.bundle_contents import BundleContents, BundleFile, save_contents
from pagemill.extraction.types import Example, Page, ReadOptions, Word
from pagemill.objects import open_objects
from pagemill.settings import Settings, to_environment
from tests.support.bundling import FATAL, READ_PAGES
from tests.support.ray_cluster import local_ray
from train_jobs.bundle_blocks import BlockDocument, BlockOutcome, blocks_of
from train_jobs.bundle_dataset import (
    decode_example,
    examples_dataset,
    iterate_examples,
)

BUNDLE, MADE = "organizations/o/data-bundles/1/a/", "organizations/o/data-bundles/2/a/"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings that the workers of a local Ray have in their environment."""
    settings = Settings(
        database_url="postgresql://unused", objects_url=tmp_path_factory.mktemp("objects").as_uri()
    )
    counted = tmp_path_factory.mktemp("counted") / "pages"
    with local_ray({**to_environment(settings), READ_PAGES: str(counted)}):
        yield settings


def example(name: str) -> Example:
    page = Page(0, 1.0, "text", [Word(name, 0.0, 0.0, 1.0, 1.0)])
    return Example(name, [page], [{"label": "total", "value": name}])


async def store(settings: Settings, *files: list[Example]) -> None:
    objects = open_objects(settings)
    named = []
    for number, examples in enumerate(files):
        name = f"part-{number}.parquet"
        await objects.put(BUNDLE + name, bundle_files.encode(bundle_files.to_table(examples)))
        named.append(BundleFile(name, [one.document_id for one in examples]))
    await save_contents(objects, BUNDLE, BundleContents(named))


def test_examples_reach_each_consumer_once(settings: Settings, tmp_path: Path) -> None:
    files = [[example(f"{file}-{number}") for number in range(3)] for file in range(4)]
    asyncio.run(store(settings, *files))
    dataset = examples_dataset(settings, "las:training:examples", [BUNDLE])
    found = [(row["document"], decode_example(row["example"])) for row in dataset.iter_rows()]
    expected = [one for examples in files for one in examples]
    assert sorted(found, key=lambda pair: pair[0]) == [(one.document_id, one) for one in expected]


async def made(settings: Settings, documents: list[BlockDocument]) -> list[BlockOutcome]:
    """Make a bundle with pages that are only written down; return the outcomes in the order of the blocks."""
    from tests.support.bundling import CountedStage
    from train_jobs.bundle_pipeline import bundle_on_ray_data

    blocks = blocks_of(documents, MADE, ReadOptions())
    outcomes = bundle_on_ray_data(settings, "las:model-data-bundle:made", blocks, CountedStage)
    return sorted([one async for one in outcomes], key=lambda one: one.number)


def read_pages() -> Counter[str]:
    """Count the readings of each page. Raises FileNotFoundError unless a worker was lost meanwhile."""
    Path(f"{os.environ[READ_PAGES]}.died").stat()
    return Counter(Path(os.environ[READ_PAGES]).read_text().splitlines())


async def test_a_lost_worker_reads_no_page_again(settings: Settings) -> None:
    names = [f"{number:02d}" for number in range(60)]
    names[31] = FATAL
    documents = [BlockDocument(name, f"content/{name}", [{"label": "name", "value": name}]) for name in names]
    outcomes = await made(settings, documents)

    counted = read_pages()
    # What it had stored, but not yet written down here, is not there.
    assert set(counted) <= {f"content/{name} {index}" for name in names for index in range(6)}
    assert max(counted.values()) == 1

    assert [one.unavailable for one in outcomes] == [None] * len(outcomes)
    files = [file for one in outcomes for file in one.files]
    assert [name for file in files for name in file.documents] == names
    objects = open_objects(settings)
    await save_contents(objects, MADE, BundleContents(files))
    found = [one async for one in iterate_examples(objects, [MADE])]
    assert [(one.document_id, len(one.pages), one.ground_truth) for one in found] == [
        (one.document_id, 6, one.ground_truth) for one in documents
    ]

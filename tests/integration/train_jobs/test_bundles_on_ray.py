"""Data bundles on Ray Data, on a Ray of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from pagemill.extraction.types import Example, Page, Word
from pagemill.objects import open_objects
from pagemill.settings import Settings, to_environment
from tests.support.ray_cluster import local_ray
from train_jobs import bundle_files
from train_jobs.bundle_dataset import (
    BundleContents,
    BundleFile,
    decode_example,
    examples_dataset,
    save_contents,
)

BUNDLE = "organizations/o/data-bundles/1/a/"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings that the workers of a local Ray have in their environment."""
    settings = Settings(
        database_url="postgresql://unused", objects_url=tmp_path_factory.mktemp("objects").as_uri()
    )
    with local_ray(to_environment(settings)):
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
    dataset = examples_dataset(settings, [BUNDLE])
    found = [(row["document"], decode_example(row["example"])) for row in dataset.iter_rows()]
    expected = [one for examples in files for one in examples]
    assert sorted(found, key=lambda pair: pair[0]) == [(one.document_id, one) for one in expected]

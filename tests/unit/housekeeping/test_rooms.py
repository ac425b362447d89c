"""Each key that is made is one that its owner's row has a reason for, and no other row has."""

from __future__ import annotations

from typing import Any

import pytest

from pagemill.housekeeping.rooms import ROOMS, Room
from pagemill.ids import AssetId, DataBundleId, DocumentId, TrainingId, new_id
from pagemill.objects.keys import (
    data_bundle_key,
    new_asset_key,
    new_content_key,
    organization_prefix,
    renditions_prefix,
    training_prefix,
    words_key,
)

ORGANIZATION = "las:organization:acme"
DOCUMENT = new_id(DocumentId)
CONTENT = new_content_key(ORGANIZATION, DOCUMENT)
REPLACED = new_content_key(ORGANIZATION, DOCUMENT)
WITH_CONTENT = {"id": DOCUMENT, "content_key": CONTENT}
EMPTY = {"id": DOCUMENT, "content_key": None}
ASSET = new_id(AssetId)
ASSET_KEY = new_asset_key(ORGANIZATION, ASSET)
BUNDLE = new_id(DataBundleId)
TRAINING = new_id(TrainingId)
PLACE = training_prefix(ORGANIZATION, TRAINING)


def room(name: str) -> Room:
    return next(one for one in ROOMS if one.name == name)


def training(status: str) -> dict[str, Any]:
    return {"id": TRAINING, "status": status, "artefact_key": f"{PLACE}artefact/"}


@pytest.mark.parametrize(
    ("name", "owner_id", "key"),
    [
        ("documents", DOCUMENT, CONTENT),
        ("documents", DOCUMENT, words_key(CONTENT, "1", "low")),
        ("documents", DOCUMENT, renditions_prefix(CONTENT) + "x"),
        ("assets", ASSET, ASSET_KEY),
        ("data-bundles", BUNDLE, data_bundle_key(ORGANIZATION, BUNDLE)),
        ("trainings", TRAINING, f"{PLACE}run/checkpoint/x"),
    ],
)
def test_the_owner_is_found_from_the_key(name: str, owner_id: str, key: str) -> None:
    assert key.startswith(room(name).prefix(ORGANIZATION))
    head, slash, _ = key.removeprefix(room(name).prefix(ORGANIZATION)).partition("/")
    assert room(name).owner_at(head + slash) == owner_id
    assert room(name).place_of(owner_id) == head + slash


@pytest.mark.parametrize(
    ("name", "row", "key", "owned"),
    [
        ("documents", WITH_CONTENT, CONTENT, True),
        ("documents", WITH_CONTENT, REPLACED, False),
        ("documents", EMPTY, REPLACED, False),
        ("documents", WITH_CONTENT, words_key(CONTENT, "1", "low"), True),
        ("documents", WITH_CONTENT, words_key(REPLACED, "1", "low"), True),
        ("documents", WITH_CONTENT, renditions_prefix(CONTENT) + "x", True),
        ("documents", WITH_CONTENT, renditions_prefix(REPLACED) + "x", False),
        ("documents", EMPTY, renditions_prefix(REPLACED) + "x", False),
        ("documents", EMPTY, f"{organization_prefix(ORGANIZATION)}documents/1/something/new", True),
        ("assets", {"id": ASSET, "content_key": ASSET_KEY}, ASSET_KEY, True),
        ("assets", {"id": ASSET, "content_key": ASSET_KEY}, new_asset_key(ORGANIZATION, ASSET), False),
        ("data-bundles", {"id": BUNDLE, "object_key": None}, data_bundle_key(ORGANIZATION, BUNDLE), True),
        ("trainings", training("running"), f"{PLACE}run/x", True),
        ("trainings", training("succeeded"), f"{PLACE}artefact/weights.safetensors", True),
        ("trainings", training("failed"), f"{PLACE}examples.msgpack", False),
        ("trainings", training("cancelled"), f"{PLACE}run/x", False),
    ],
)
def test_what_a_row_owns(name: str, row: dict[str, Any], key: str, owned: bool) -> None:
    assert room(name).owns(row, key) is owned


def test_what_a_row_needs() -> None:
    assert room("documents").needs(WITH_CONTENT) == CONTENT
    assert room("documents").needs(EMPTY) is None
    assert room("data-bundles").needs({"id": BUNDLE, "object_key": None}) is None
    assert room("trainings").needs(training("succeeded")) == f"{PLACE}artefact/"


def test_what_lies_elsewhere_has_no_owner() -> None:
    assert room("documents").owner_at("stray") is None
    assert room("data-bundles").owner_at("folder/") is None

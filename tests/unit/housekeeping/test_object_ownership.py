"""Each key belongs to the row that it was made for, and to no other."""

from __future__ import annotations

import pytest

from db.object_owners import ObjectOwnerRow
from pagemill.housekeeping.object_ownership import OWNER_KINDS, OwnerKind
from pagemill.ids import AssetId, DataBundleId, DocumentId, TrainingId, new_id
from pagemill.objects.keys import (
    data_bundle_snapshot_key,
    new_asset_key,
    new_content_key,
    new_data_bundle_key,
    new_predictions_key,
    organization_prefix,
    thumbnails_prefix,
    training_prefix,
    words_prefix,
)

ORGANIZATION = "las:organization:acme"
DOCUMENT = new_id(DocumentId)
CONTENT = new_content_key(ORGANIZATION, DOCUMENT)
REPLACED = new_content_key(ORGANIZATION, DOCUMENT)
WITH_CONTENT = ObjectOwnerRow(DOCUMENT, CONTENT, False)
EMPTY = ObjectOwnerRow(DOCUMENT, None, False)
ASSET = new_id(AssetId)
ASSET_KEY = new_asset_key(ORGANIZATION, ASSET)
WITH_ASSET = ObjectOwnerRow(ASSET, ASSET_KEY, False)
BUNDLE = new_id(DataBundleId)
DATA_SET, REPLACED_DATA_SET = (new_data_bundle_key(ORGANIZATION, BUNDLE) for _ in range(2))
SNAPSHOT = data_bundle_snapshot_key(ORGANIZATION, BUNDLE)
RUNNING_BUNDLE = ObjectOwnerRow(BUNDLE, None, False)
FAILED_BUNDLE = ObjectOwnerRow(BUNDLE, None, True)
MADE_BUNDLE = ObjectOwnerRow(BUNDLE, DATA_SET, False)
FORMER_BUNDLE = ObjectOwnerRow(BUNDLE, SNAPSHOT, False)
TRAINING = new_id(TrainingId)
TRAINING_PREFIX = training_prefix(ORGANIZATION, TRAINING)


def kind(folder: str) -> OwnerKind:
    return next(one for one in OWNER_KINDS if one.folder == folder)


def training(*, discarded: bool) -> ObjectOwnerRow:
    return ObjectOwnerRow(TRAINING, f"{TRAINING_PREFIX}artefact/", discarded)


@pytest.mark.parametrize(
    ("folder", "owner_id", "key"),
    [
        ("documents", DOCUMENT, CONTENT),
        ("documents", DOCUMENT, words_prefix(CONTENT, "1", "low") + "0-of-1.msgpack"),
        ("documents", DOCUMENT, thumbnails_prefix(CONTENT) + "x"),
        ("assets", ASSET, ASSET_KEY),
        ("data-bundles", BUNDLE, f"{DATA_SET}part-00000-000.parquet"),
        ("data-bundles", BUNDLE, SNAPSHOT),
        ("trainings", TRAINING, f"{TRAINING_PREFIX}run/checkpoint/x"),
    ],
)
def test_the_owner_is_found_from_the_key(folder: str, owner_id: str, key: str) -> None:
    assert key.startswith(kind(folder).prefix(ORGANIZATION))
    location = kind(folder).location_in(key.removeprefix(kind(folder).prefix(ORGANIZATION)))
    assert kind(folder).owner_at(location) == owner_id
    assert kind(folder).location_of(owner_id) == location


@pytest.mark.parametrize(
    ("folder", "owner", "key", "owned"),
    [
        ("documents", WITH_CONTENT, CONTENT, True),
        ("documents", WITH_CONTENT, REPLACED, False),
        ("documents", EMPTY, REPLACED, False),
        ("documents", WITH_CONTENT, words_prefix(CONTENT, "1", "low") + "0-of-1.msgpack", True),
        ("documents", WITH_CONTENT, words_prefix(REPLACED, "1", "low") + "0-of-1.msgpack", True),
        ("documents", WITH_CONTENT, new_predictions_key(CONTENT), False),
        ("documents", WITH_CONTENT, thumbnails_prefix(CONTENT) + "x", True),
        ("documents", WITH_CONTENT, thumbnails_prefix(REPLACED) + "x", False),
        ("documents", EMPTY, thumbnails_prefix(REPLACED) + "x", False),
        ("documents", EMPTY, f"{organization_prefix(ORGANIZATION)}documents/1/something/new", True),
        ("assets", WITH_ASSET, ASSET_KEY, True),
        ("assets", WITH_ASSET, new_asset_key(ORGANIZATION, ASSET), False),
        ("data-bundles", RUNNING_BUNDLE, f"{DATA_SET}x", True),
        ("data-bundles", FAILED_BUNDLE, f"{DATA_SET}x", False),
        ("data-bundles", MADE_BUNDLE, f"{DATA_SET}x", True),
        ("data-bundles", MADE_BUNDLE, f"{REPLACED_DATA_SET}x", False),
        ("data-bundles", MADE_BUNDLE, SNAPSHOT, False),
        ("data-bundles", FORMER_BUNDLE, SNAPSHOT, True),
        ("trainings", training(discarded=False), f"{TRAINING_PREFIX}run/x", True),
        ("trainings", training(discarded=False), f"{TRAINING_PREFIX}artefact/weights.safetensors", True),
        ("trainings", training(discarded=True), f"{TRAINING_PREFIX}examples.msgpack", False),
        ("trainings", training(discarded=True), f"{TRAINING_PREFIX}run/x", False),
    ],
)
def test_keys_that_an_owner_owns(folder: str, owner: ObjectOwnerRow, key: str, owned: bool) -> None:
    assert kind(folder).owns(owner, key) is owned


def test_an_object_elsewhere_has_no_owner() -> None:
    assert kind("documents").owner_at("stray") is None
    assert kind("data-bundles").owner_at("stray.txt") is None

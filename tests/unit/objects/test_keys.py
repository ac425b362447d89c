"""Keys stay inside the storage and inside their organization."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.objects.keys import (
    data_bundle_names,
    document_prefix,
    new_content_key,
    new_data_bundle_key,
    new_predictions_key,
    organization_prefix,
    training_prefix,
    words_prefix,
)
from pagemill.objects.opening import open_objects
from pagemill.objects.store import InvalidKey, check_key, check_prefix
from pagemill.settings import Settings, SettingsError

ORGANIZATION = "las:organization:acme"
DOCUMENT = "las:document:" + "0" * 32
BUNDLE = "las:model-data-bundle:" + "1" * 32


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "a/../b", "..", "a//b", "a/./b", "a\\b", "a\0b", "a b", "a" * 600]
)
def test_keys_that_lead_elsewhere_are_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        check_key(key)


@given(st.text(max_size=40))
def test_a_key_that_passes_stays_below_the_root(text: str) -> None:
    try:
        key = check_key(text)
    except InvalidKey:
        return
    assert not key.startswith("/")
    assert ".." not in key.split("/")


def test_a_prefix_ends_in_a_slash() -> None:
    assert check_prefix("a/b/") == "a/b/"
    with pytest.raises(InvalidKey):
        check_prefix("a/b")


def test_everything_of_an_organization_lies_below_its_prefix() -> None:
    content = new_content_key(ORGANIZATION, DOCUMENT)
    keys = [
        document_prefix(ORGANIZATION, DOCUMENT),
        content,
        words_prefix(content, "1", "low"),
        new_predictions_key(content),
        *data_bundle_names(ORGANIZATION, BUNDLE),
        new_data_bundle_key(ORGANIZATION, BUNDLE),
        training_prefix(ORGANIZATION, "las:model-training:x"),
    ]
    assert all(key.startswith(organization_prefix(ORGANIZATION)) for key in keys)


def test_words_are_below_the_prefix_of_their_document() -> None:
    content = new_content_key(ORGANIZATION, DOCUMENT)
    words = words_prefix(content, "1", "low")
    assert words != content
    assert words.startswith(document_prefix(ORGANIZATION, DOCUMENT))


def test_each_attempt_of_a_data_bundle_has_a_prefix_of_its_own() -> None:
    first, second = (new_data_bundle_key(ORGANIZATION, BUNDLE) for _ in range(2))
    assert first != second
    assert {first.rsplit("/", 2)[0], second.rsplit("/", 2)[0]} == {
        data_bundle_names(ORGANIZATION, BUNDLE)[0].rstrip("/")
    }


def test_each_upload_has_a_key_of_its_own() -> None:
    assert new_content_key(ORGANIZATION, DOCUMENT) != new_content_key(ORGANIZATION, DOCUMENT)


@pytest.mark.parametrize("url", ["", "/directory", "http://bucket", "s3://", "file://"])
def test_other_storages_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="PAGEMILL_OBJECTS_URL"):
        open_objects(Settings(database_url="postgresql://unused", objects_url=url))

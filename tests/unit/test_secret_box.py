"""Secrets at rest are bound to their row, encrypted with the first key, and readable with every key."""

from __future__ import annotations

import base64
import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.secret_box import Sealed, SecretBox, SecretUnreadable, new_secret_key, open_secret_box
from pagemill.settings import Settings, SettingsError

OWNER, SECRET = "las:organization:a", "las:secret:b"
DATA = {"password": "hunter2", "port": 5432}


def settings(*entries: str) -> Settings:
    return Settings(
        database_url="postgresql://unused", objects_url="file:///unused", secret_keys=",".join(entries)
    )


def encoded(size: int) -> str:
    return base64.b64encode(os.urandom(size)).decode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON))
def test_sealed_data_is_opened(data: dict[str, object]) -> None:
    box = SecretBox({"1": bytes(32)})
    assert box.open(OWNER, SECRET, box.seal(OWNER, SECRET, data)) == data


def test_the_same_data_is_never_sealed_the_same() -> None:
    box = open_secret_box(settings(new_secret_key("1")))
    first, second = (box.seal(OWNER, SECRET, DATA) for _ in range(2))
    assert (first.nonce, first.ciphertext) != (second.nonce, second.ciphertext)
    assert b"hunter2" not in first.ciphertext


def test_the_first_key_seals_and_all_open() -> None:
    old, new = new_secret_key("2024"), new_secret_key("2025")
    sealed = open_secret_box(settings(old)).seal(OWNER, SECRET, DATA)
    both = open_secret_box(settings(new, old))
    assert both.open(OWNER, SECRET, sealed) == DATA
    assert both.seal(OWNER, SECRET, DATA).key_id == both.key_id == "2025"
    with pytest.raises(SecretUnreadable, match="2024 is not in PAGEMILL_SECRET_KEYS"):
        open_secret_box(settings(new)).open(OWNER, SECRET, sealed)


def test_changed_or_moved_data_is_not_opened() -> None:
    box = open_secret_box(settings(new_secret_key("1"), new_secret_key("2")))
    sealed = box.seal(OWNER, SECRET, DATA)
    changed = bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:]
    attempts: list[tuple[str, str, Sealed]] = [
        ("las:organization:other", SECRET, sealed),
        (OWNER, "las:secret:other", sealed),
        (OWNER, SECRET, Sealed("2", sealed.nonce, sealed.ciphertext)),
        (OWNER, SECRET, Sealed("1", sealed.nonce, changed)),
        (OWNER, SECRET, Sealed("1", b"", sealed.ciphertext)),
        (OWNER, SECRET, Sealed("1", sealed.nonce, b"")),
    ]
    for organization_id, secret_id, altered in attempts:
        with pytest.raises(SecretUnreadable, match=r"cannot be read"):
            box.open(organization_id, secret_id, altered)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ((), "entry 1 needs a key id"),
        ((f"1:{encoded(32)}", ""), "entry 2 needs a key id"),
        ((f":{encoded(32)}",), "entry 1 needs a key id"),
        ((f"1 2:{encoded(32)}",), "entry 1 needs a key id"),
        ((f"1:{encoded(32)}", f"1:{encoded(32)}"), "entry 2 needs a key id of its own"),
        (("1:?",), "entry 1 is not base64"),
        ((f"1:{encoded(16)}",), "entry 1 must have 32 bytes"),
        (("1",), "entry 1 must have 32 bytes"),
    ],
)
def test_invalid_keys_are_refused_without_showing_them(entries: tuple[str, ...], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        open_secret_box(settings(*entries))
    assert "PAGEMILL_SECRET_KEYS" in raised.value.message
    for entry in entries:
        key = entry.partition(":")[2]
        assert len(key) < 3 or key not in raised.value.message


def test_spaces_between_keys_do_no_harm() -> None:
    given_keys = settings(new_secret_key("1"), new_secret_key("2"))
    spaced = msgspec.structs.replace(given_keys, secret_keys=given_keys.secret_keys.replace(",", " ,\n "))
    sealed = open_secret_box(given_keys).seal(OWNER, SECRET, DATA)
    assert open_secret_box(spaced).open(OWNER, SECRET, sealed) == DATA

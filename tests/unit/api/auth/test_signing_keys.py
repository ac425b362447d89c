"""Which key signs, and when the next one is due."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc.jwk import ECKey

from db.signing_keys import SigningKeyRow
from pagemill.api.auth.signing_keys import choose_signing_key
from pagemill.housekeeping.signing_keys import (
    PUBLISHED_SECONDS,
    bound_to,
    is_due,
    newest_of,
    open_private_key,
)
from pagemill.secret_box import SecretBox, new_secret_key, read_secret_keys

BOX, OTHER_BOX = (read_secret_keys(new_secret_key(name)) for name in ("1", "2"))
TIME = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
MONTH = 30 * 86400.0


@dataclass(frozen=True)
class Key:
    """A key as a test describes it."""

    kid: str
    age: float
    retired: bool = False
    box: SecretBox = BOX

    def row(self) -> SigningKeyRow:
        key = ECKey.generate_key("P-256", {"kid": self.kid})
        sealed = self.box.seal("", bound_to(self.kid), dict(key.as_dict(private=True)))
        public: Any = key.as_dict(private=False)
        retired = TIME if self.retired else None
        return SigningKeyRow(
            self.kid, public, sealed.key_id, sealed.nonce, sealed.ciphertext, TIME, self.age, retired, retired
        )


@pytest.mark.parametrize(
    ("keys", "signs"),
    [
        ([Key("only", 0)], "only"),
        ([Key("first", 1, retired=True), Key("second", 0)], "first"),
        ([Key("old", MONTH, retired=True), Key("new", 0)], "old"),
        ([Key("old", MONTH, retired=True), Key("new", PUBLISHED_SECONDS - 1)], "old"),
        ([Key("old", MONTH, retired=True), Key("new", PUBLISHED_SECONDS)], "new"),
        ([Key("old", MONTH, retired=True, box=OTHER_BOX), Key("new", 0)], "new"),
        ([Key("old", MONTH), Key("closed", MONTH, box=OTHER_BOX)], "old"),
    ],
    ids=[
        "the first signs at once",
        "none is published yet",
        "new",
        "nearly published",
        "published",
        "closed and new",
        "closed",
    ],
)
def test_the_newest_key_that_everybody_knows_signs(keys: list[Key], signs: str) -> None:
    chosen = choose_signing_key([key.row() for key in keys], BOX)
    assert chosen is not None
    assert chosen.kid == signs


def test_without_a_readable_key_nothing_is_signed() -> None:
    assert choose_signing_key([Key("closed", 0, box=OTHER_BOX).row()], BOX) is None


@pytest.mark.parametrize(
    ("keys", "due"),
    [
        ([], True),
        ([Key("new", 0)], False),
        ([Key("new", MONTH - 1)], False),
        ([Key("old", MONTH)], True),
        ([Key("old", 2 * MONTH, retired=True), Key("new", 0)], False),
        ([Key("closed", 0, box=OTHER_BOX)], True),
    ],
    ids=["none", "new", "not yet", "old", "retired", "closed"],
)
def test_a_new_key_is_due(keys: list[Key], due: bool) -> None:
    assert is_due([key.row() for key in keys], BOX, lifetime=MONTH) == due


def test_a_private_key_is_sealed_and_published_without_its_secret() -> None:
    row = Key("one", 0).row()
    opened = open_private_key(row, BOX)
    assert opened is not None
    assert opened.is_private
    assert set(row.public_key) == {"kty", "crv", "x", "y", "kid"}
    assert newest_of([row]) == row

"""Codes can be typed by people, and their hashes tell nothing."""

from __future__ import annotations

import math
import re

import pytest

from db.one_time_codes import Purpose
from pagemill.people.one_time_codes import ALPHABET, RULES, hash_code, new_code


@pytest.mark.parametrize(("purpose", "bits"), [("recover", 60), ("verify", 60), ("invite", 100)])
def test_codes_are_random_and_in_groups(purpose: Purpose, bits: int) -> None:
    codes = {new_code(purpose) for _ in range(100)}
    assert len(codes) == 100
    for code in codes:
        assert re.fullmatch(rf"[{ALPHABET}]{{4}}(-[{ALPHABET}]{{4}})+", code)
        assert len(code.replace("-", "")) * math.log2(len(ALPHABET)) == bits


def test_no_letter_is_mistaken_for_another() -> None:
    assert not set("ILOU") & set(ALPHABET)


@pytest.mark.parametrize("typed", ["0123-ABCD-1111", "0123abcd1111", " o123 abcd IiLl ", "O123\tABCD-lLiI"])
def test_a_code_is_the_same_however_it_is_typed(typed: str) -> None:
    assert hash_code("recover", "a@b.de", typed) == hash_code("recover", "a@b.de", "0123-ABCD-1111")


def test_a_code_is_for_one_address_and_purpose() -> None:
    hashes = {
        hash_code(purpose, email, "0123-ABCD-1111") for purpose in RULES for email in ("a@b.de", "c@b.de")
    }
    assert len(hashes) == 6

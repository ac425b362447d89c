"""Documents of one issuer are recognised by their headers, and stay together in a fold."""

from __future__ import annotations

from collections import Counter

from pagemill.extraction.issuers import Signature, assign_folds, group_by_issuer, sign
from pagemill.extraction.sheets import read_sheet
from tests.unit.extraction.printed import page_of

SHOPS = ("Northwind Trading Bergen", "Golden Lotus Restaurant Penang", "Harbour Tools Aberdeen")
COMMON = "Tax invoice original"


def shop(number: int, **names: str) -> Signature:
    return Signature(sorted(f"{SHOPS[number]} {COMMON}".lower().split()), names)


def test_headers_that_are_alike_make_an_issuer() -> None:
    signatures = [shop(0), shop(1), shop(0), shop(2), shop(1)]
    assert group_by_issuer(signatures) == [0, 1, 0, 3, 1]


def test_words_that_all_documents_have_tell_nothing() -> None:
    words = COMMON.lower().split()
    assert group_by_issuer([Signature(words, {}), Signature(words, {})]) == [0, 1]


def test_a_value_joins_documents_only_where_it_names_the_issuer() -> None:
    damaged = Signature(["nortwhind", "tradng", "tax", "invoice"], {"company": "NORTHWIND"})
    named = [shop(0, company="NORTHWIND")] * 4
    others = [shop(1, company="LOTUS", buyer="ADA"), shop(2, company="HARBOUR", buyer="ADA")]
    assert group_by_issuer([*named, damaged, *others]) == [0, 0, 0, 0, 0, 5, 6]


def test_signatures_have_the_words_of_the_top_and_names_without_numbers() -> None:
    page = page_of("Northwind Trading 12", *[""] * 10, "Total 9.00")
    values = {"company": ["Northwind"], "number": ["AB-123456"], "total": ["9.00"], "none": []}
    fields = {
        "company": {"type": "string"},
        "number": {"type": "string"},
        "total": {"type": "amount"},
        "none": {"type": "string"},
    }
    found = sign(read_sheet([page]), values, fields)
    assert found == Signature(["northwind", "trading"], {"company": "NORTHWIND"})
    assert sign(read_sheet([]), {}, {}) == Signature([], {})


def test_folds_are_of_a_size_and_share_no_issuer() -> None:
    documents = [f"d{number}" for number in range(30)]
    groups = [number // 3 for number in range(30)]
    folds = assign_folds(documents, groups, 3, seed=0)
    assert sorted(Counter(folds).values()) == [9, 9, 12]
    assert all(len(set(folds[begin : begin + 3])) == 1 for begin in range(0, 30, 3))
    turned = assign_folds(documents[::-1], groups[::-1], 3, seed=0)
    assert turned[::-1] == folds
    assert assign_folds(documents, groups, 3, seed=1) != folds


def test_an_issuer_of_most_documents_is_divided() -> None:
    folds = assign_folds([f"d{number}" for number in range(12)], [0] * 10 + [10, 11], 3, seed=0)
    assert sorted(Counter(folds).values()) == [4, 4, 4]

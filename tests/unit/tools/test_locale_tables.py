"""The tables that extraction reads are those of the CLDR that is installed."""

from __future__ import annotations

import json

from tools.locale_tables.__main__ import PATH
from tools.locale_tables.tables import tables


def test_the_tables_in_the_tree_are_those_of_cldr() -> None:
    assert json.loads(PATH.read_text(encoding="utf-8")) == tables()

"""Scripts are told by their letters, and named alike everywhere."""

from __future__ import annotations

from typing import get_args

import pytest

from pagemill import settings
from pagemill.extraction.recognition.scripts import SCRIPTS, ScriptName, script_of


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Счёт", "Cyrillic"),
        ("ПО-204", "Cyrillic"),
        ("Τιμολόγιο", "Greek"),
        ("فاتورة", "Arabic"),
        ("חשבונית", "Hebrew"),
        ("합계", "Hangul"),
        ("บาท", "Thai"),
        ("राशि", "Devanagari"),
        ("abcД", "Cyrillic"),
        ("ДДα", "Cyrillic"),
    ],
)
def test_a_script_is_told_by_its_letters(text: str, name: str) -> None:
    script = script_of(text)
    assert script is not None
    assert script.name == name


@pytest.mark.parametrize("text", ["", "Ærøskøbing", "1.234,56", "合計", "ありがとう", "№", "5µm", "€"])
def test_latin_chinese_and_japanese_are_none_of_them(text: str) -> None:
    assert script_of(text) is None


def test_the_setting_knows_all_scripts() -> None:
    names = {script.name for script in SCRIPTS}
    assert names == set(settings.SCRIPTS.split("|")) == set(get_args(ScriptName))

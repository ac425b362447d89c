"""Texts that browsers keep can be neither changed, nor kept for long, nor used elsewhere."""

from __future__ import annotations

import pytest

from pagemill.api.sign_in.sealed_texts import open_text, seal_text
from pagemill.secret_box import SecretBox, new_secret_key, read_secret_keys

OLD, NEW = new_secret_key("old"), new_secret_key("new")


@pytest.fixture
def box() -> SecretBox:
    return read_secret_keys(OLD)


def test_it_is_opened_for_its_purpose_and_browser_alone(box: SecretBox) -> None:
    text = seal_text(box, "form", {"a": 1}, seconds=60, bound_to="browser")
    assert open_text(box, "form", text, bound_to="browser") == {"a": 1}
    assert open_text(box, "form", text, bound_to="other") is None
    assert open_text(box, "openid", text, bound_to="browser") is None
    assert open_text(box, "form", text) is None


def test_it_is_opened_after_the_keys_were_rotated(box: SecretBox) -> None:
    text = seal_text(box, "form", {}, seconds=60)
    assert open_text(read_secret_keys(f"{NEW},{OLD}"), "form", text) == {}
    assert open_text(read_secret_keys(NEW), "form", text) is None


def test_it_is_not_opened_when_its_time_is_over(box: SecretBox) -> None:
    assert open_text(box, "form", seal_text(box, "form", {}, seconds=-1)) is None


@pytest.mark.parametrize(
    "text", [None, "", "old", "old~", "old~AAAA", "~AAAA", "old~" + "A" * 10_000, "äöü~AAAA", "old~%%%%"]
)
def test_what_is_none_is_refused(box: SecretBox, text: str | None) -> None:
    assert open_text(box, "form", text) is None


def test_a_changed_one_is_refused(box: SecretBox) -> None:
    text = seal_text(box, "form", {"a": 1}, seconds=60)
    # Not the last letter: some of its bits belong to no byte.
    for position in range(4, len(text) - 1, 7):
        changed = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]
        assert open_text(box, "form", changed) is None

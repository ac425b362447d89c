"""Summaries and descriptions from docstrings."""

from __future__ import annotations

import pytest

from pagemill.api.openapi.operation_texts import operation_texts


@pytest.mark.parametrize(
    ("docstring", "summary", "description"),
    [
        ("", "", ""),
        ("List models.", "List models", ""),
        ("List models", "List models", ""),
        ("List models. Newest first.", "List models", "Newest first."),
        (
            "List the models\nof an organization.\n\nNewest\nfirst.",
            "List the models of an organization",
            "Newest first.",
        ),
        ("Get ``me``.\n\nOne.\n\nTwo ``x.y``.", "Get `me`", "One.\n\nTwo `x.y`."),
        ("Get it.\n\nStates:\n- one,\n  still one\n- two", "Get it", "States:\n- one, still one\n- two"),
    ],
)
def test_the_first_sentence_is_the_summary(docstring: str, summary: str, description: str) -> None:
    assert operation_texts(docstring) == (summary, description)

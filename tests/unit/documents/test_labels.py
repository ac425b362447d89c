"""Counts of labels."""

from __future__ import annotations

from collections import Counter

from pagemill.documents.labels import difference, label_counts


def test_nested_labels_are_counted_under_their_field() -> None:
    lines = [[{"label": "qty", "value": 1}], [{"label": "qty", "value": 2}, {"label": "text", "value": "x"}]]
    truth = [{"label": "total", "value": None}, {"label": "lines", "value": lines}]
    assert label_counts(truth) == {"total": 1, "lines": 1, "lines.qty": 2, "lines.text": 1}
    assert label_counts(None) == {}


def test_a_difference_has_only_changed_labels() -> None:
    assert difference(Counter(a=2, b=1, d=1), Counter(a=1, c=3, d=1)) == {"a": 1, "b": 1, "c": -3}

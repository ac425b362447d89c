"""Estimates of what is left of a training."""

from __future__ import annotations

import pytest

from pagemill.extraction.training_progress import Progress, progress_at


@pytest.mark.parametrize(
    ("done", "seconds", "expected"),
    [
        pytest.param(0.0, 0.0, Progress(10, 10, 0.5, None), id="nothing done"),
        pytest.param(0.25, 20.0, Progress(10, 40, 0.5, None, 60.0), id="all epochs fit"),
        pytest.param(0.25, 0.0, Progress(10, 40, 0.5, None), id="without a clock"),
        pytest.param(0.1, 50.0, Progress(10, 20, 0.5, None, 50.0), id="half of the budget is spent"),
        pytest.param(0.1, 120.0, Progress(10, 10, 0.5, None, 0.0), id="more than the budget is spent"),
    ],
)
def test_what_does_not_fit_in_the_budget_is_not_planned(
    done: float, seconds: float, expected: Progress
) -> None:
    assert progress_at(done, 10, seconds, 100.0, 0.5, None) == expected

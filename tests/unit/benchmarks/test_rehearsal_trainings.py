"""The verdict on trainings that wait for a GPU, on stories that are made up."""

from __future__ import annotations

import pytest

from benchmarks.rehearsal_trainings import Story, examples, judge
from pagemill.extraction.types import Example

NODE_SECOND = 120.0


def story(*statuses: tuple[float, str], attempts: int = 1, gpu_seconds: float = 12.0) -> Story:
    made = Story(attempts=attempts, gpu_seconds=gpu_seconds)
    for second, status in statuses:
        made.see(second, status)
    return made


def first() -> Story:
    return story(
        (0.0, "pending"), (2.0, "preparing"), (14.0, "pending"), (140.0, "running"), (153.0, "succeeded")
    )


def second() -> Story:
    return story(
        (0.0, "pending"), (3.0, "preparing"), (15.0, "pending"), (160.0, "running"), (173.0, "succeeded")
    )


def test_both_wait_and_end_well() -> None:
    outcome = judge([first(), second()], NODE_SECOND, metered_seconds=24.0)
    assert outcome.holds
    assert outcome.seen["secondsWithNode"] == 53.0
    assert outcome.seen["runningSeconds"] == [13.0, 13.0]


@pytest.mark.parametrize(
    "other",
    [
        story((0.0, "pending"), (3.0, "preparing"), (15.0, "pending"), (20.0, "failed")),
        story((0.0, "pending"), (3.0, "preparing"), (160.0, "running"), (173.0, "succeeded")),
        story(*second().statuses, attempts=2),
        story(*second().statuses, gpu_seconds=40.0),
        story(*second().statuses, gpu_seconds=0.0),
    ],
    ids=["failed", "never said that it waits", "tried again", "billed for its wait", "billed nothing"],
)
def test_what_does_not_hold(other: Story) -> None:
    metered = first().gpu_seconds + other.gpu_seconds
    assert not judge([first(), other], NODE_SECOND, metered_seconds=metered).holds


def test_what_is_counted_has_to_be_what_was_measured() -> None:
    assert not judge([first(), second()], NODE_SECOND, metered_seconds=200.0).holds


def test_the_documents_are_the_same_each_time() -> None:
    assert examples() == examples()
    assert all(example.ground_truth[0]["value"] in page_texts(example) for example in examples())


def page_texts(example: Example) -> list[str]:
    return [word.text for page in example.pages for word in page.words]

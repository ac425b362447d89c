"""An error keeps its class and message from the worker to the caller who waits for the job."""

from __future__ import annotations

import pytest

from pagemill.errors import BadRequest, DocumentUnreadable, LimitExceeded, PagemillError, Unavailable
from pagemill.jobs.job import EndedJob, JobCancelled, JobFailed
from pagemill.jobs.outcomes import UNEXPECTED, recorded_error


@pytest.mark.parametrize(
    "error",
    [BadRequest("pages: too many"), DocumentUnreadable("encrypted"), LimitExceeded(), Unavailable("away")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_keeps_its_class_and_message(error: PagemillError) -> None:
    failure = recorded_error(error)
    raised = EndedJob("failed", failure.error_class, failure.message).error()
    assert type(raised) is type(error)
    assert raised is not None
    assert (raised.message, raised.status) == (error.message, error.status)


def test_a_class_that_was_derived_from_an_error_comes_back_as_that_error() -> None:
    class Wrapped(RuntimeError, DocumentUnreadable):
        def __init__(self) -> None:
            DocumentUnreadable.__init__(self, "encrypted")

    assert recorded_error(Wrapped()).error_class == "DocumentUnreadable"


def test_an_unexpected_error_tells_nothing_of_the_inside() -> None:
    failure = recorded_error(RuntimeError("password=hunter2 at 10.0.0.1"))
    assert failure.message == UNEXPECTED
    raised = EndedJob("failed", failure.error_class, failure.message).error()
    assert isinstance(raised, JobFailed)
    assert raised.status == 500


@pytest.mark.parametrize("name", ["annotations", "Exception", "__name__", None, ""])
def test_a_name_that_is_no_error_of_ours_is_an_internal_error(name: str | None) -> None:
    assert isinstance(EndedJob("failed", name, None).error(), JobFailed)


def test_success_is_no_error_and_cancellation_is_one() -> None:
    assert EndedJob("succeeded", None, None).error() is None
    assert isinstance(EndedJob("cancelled", None, None).error(), JobCancelled)

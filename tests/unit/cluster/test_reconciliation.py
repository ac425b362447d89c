"""A deployment is looked at until something of it is missing, or Ray does not answer."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from ray.exceptions import RayError

from pagemill.cluster.reconciliation import answer_in_time, wait_until_lacking
from pagemill.cluster.rollout import failure_reason


def test_it_ends_with_what_is_missing() -> None:
    answers = iter(["", "", "does not run: reading"])
    assert wait_until_lacking(lambda: next(answers), pause=0.0) == "does not run: reading"


def test_ray_that_does_not_answer_is_missing() -> None:
    released = threading.Event()

    def hang() -> str:
        released.wait()
        return ""

    assert answer_in_time(hang, 0.05) == "Ray did not answer within 0.05 s"
    released.set()


def test_a_call_that_fails_is_no_end_of_the_deployer() -> None:
    def fail() -> str:
        raise RayError("the head is gone")

    assert answer_in_time(fail) == "Ray does not answer: the head is gone"


def test_a_failure_is_one_line_that_says_why() -> None:
    traceback = (
        "The deployment failed to start 3 times in a row.\nTraceback (most recent call last):\n"
        '  File "reading.py", line 1\nSettingsError: PAGEMILL_READING_SCRIPTS: Thai cannot be read\n\n'
    )
    application = SimpleNamespace(
        message="Failed to update the deployments ['PageReading'].",
        deployments={"PageReading": SimpleNamespace(message=traceback)},
    )
    assert failure_reason(application) == "SettingsError: PAGEMILL_READING_SCRIPTS: Thai cannot be read"


def test_a_failure_to_build_is_told_by_the_application() -> None:
    application = SimpleNamespace(message="ModuleNotFoundError: No module named 'torch'\n", deployments={})
    assert failure_reason(application) == "ModuleNotFoundError: No module named 'torch'"
    assert failure_reason(SimpleNamespace(message="", deployments={})) == "Serve says no reason"

"""A deployment is looked at until something of it is missing, or Ray does not answer."""

from __future__ import annotations

import threading

from ray.exceptions import RayError

from pagemill.cluster.reconciliation import answer_in_time, wait_until_lacking


def test_it_ends_with_what_is_missing() -> None:
    answers = iter(["", "Ray does not answer", "", "does not run: reading", "does not run: reading"])
    assert wait_until_lacking(lambda: next(answers), pause=0.0) == "does not run: reading"


def test_ray_that_did_not_answer_in_time_is_not_asked_again() -> None:
    answers = iter(["", "Ray did not answer within 20 s"])
    assert wait_until_lacking(lambda: next(answers), pause=0.0) == "Ray did not answer within 20 s"


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

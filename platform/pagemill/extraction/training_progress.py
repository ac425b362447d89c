"""Progress of a training: steps taken and planned, the latest figures, and the learning curve."""

from __future__ import annotations

import msgspec


class Progress(msgspec.Struct, frozen=True, rename="camel"):
    """Progress of a training.

    ``steps`` and ``seconds_left`` are estimates: None without a clock. ``f1`` is None before it was measured.
    """

    step: int = 0
    steps: int = 0
    loss: float | None = None
    f1: float | None = None
    seconds_left: float | None = None


class CurvePoint(msgspec.Struct, frozen=True, array_like=True):
    """The figures after an epoch; ``f1`` is None where no document is held out."""

    seconds: float
    step: int
    loss: float
    f1: float | None


def progress_at(
    done: float, step: int, seconds: float, budget: float, loss: float | None, f1: float | None
) -> Progress:
    """Return the progress after a share ``done`` of the epochs, in 0..1, which took some seconds.

    What does not fit in the budget of seconds will not be done.
    """
    if done <= 0:
        return Progress(step, step, loss, f1)
    whole = seconds / done
    share = done if whole <= budget else min(1.0, done * whole / budget)
    left = None if seconds <= 0 else round(max(0.0, min(whole, budget) - seconds), 1)
    return Progress(step, max(step, round(step / share)), loss, f1, left)

"""The decision how many replicas work: a pure function of figures, limits and its own state.

More replicas come at once, as soon as they end the backlog sooner than those that are there; fewer when
fewer have been enough for a while. Figures that are too old are not used: Serve's own formula decides then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from pagemill.cluster.scaling.figures import Backlog, Figures, Limits

FIGURES_SECONDS = 15.0
"""Age from which figures are not used."""
HOLD_SECONDS = 600.0
"""For so long no replica is taken away for lack of figures: who cannot ask cannot know that nothing waits."""
INTERACTIVE_MARGIN = 0.05
BATCH_MARGIN = 0.1
"""By so much longer than with all replicas a backlog may take: the last ones save little and cost most."""
UTILISATION = 0.8
"""Share of the places that may be taken by steady work: with fewer replicas the next queue would form."""
LATE_SECONDS = 30.0
"""Age of an interactive job from which a queue that does not become shorter gets less patience."""
SMOOTHING = 0.3
"""Weight of the newest measurement: one burst of heavy pages must not order replicas for all others."""


@dataclass(frozen=True, slots=True)
class ScalingState:
    """Memory of a decision for the next one.

    ``peaks`` are the highest needs of the last ``down_delay`` seconds, each with its time: later ones are
    lower. ``full`` is since when every place has been taken, and how many pages were open then.
    """

    peaks: tuple[tuple[float, int], ...] = ()
    begun: float | None = None
    without_figures_since: float | None = None
    measured: float = -math.inf
    seconds_per_page: float | None = None
    full: tuple[float, float] | None = None


Cause: TypeAlias = Literal[
    "backlog", "behind", "fallback", "idle", "maximum", "minimum", "patience", "requests"
]
"""Cause of a number of replicas: open pages; that these do not become fewer; Serve's formula, for want of
figures; that there is nothing to do; a bound, where more or fewer are needed; that fewer have to be enough
for longer; the requests that are worked on."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The number of replicas, why, and the state for the next decision."""

    replicas: int
    reason: str
    cause: Cause
    state: ScalingState


@dataclass(frozen=True, slots=True)
class _Need:
    replicas: int
    reason: str
    cause: Cause

    def within(self, limits: Limits) -> _Need:
        """Return the need within the bounds, with the bound as its cause where it lies beyond."""
        if self.replicas > limits.maximum:
            return replace(self, replicas=limits.maximum, cause="maximum")
        if self.replicas < limits.minimum:
            cause: Cause = "fallback" if self.cause == "fallback" else "minimum"
            return replace(self, replicas=limits.minimum, cause=cause)
        return self


def decide(state: ScalingState, figures: Figures, limits: Limits, now: float) -> Decision:
    """Return how many replicas there should be; ``now`` is monotonic, in seconds."""
    if state.begun is None:
        state = replace(state, begun=now)
    backlog = figures.backlog
    if backlog is None or now - backlog.taken > FIGURES_SECONDS:
        state, need = _need_by_requests(state, figures, limits, now)
    else:
        state = _measure(state, figures.seconds_per_page, backlog.taken)
        state, need = _need_by_pages(state, figures, backlog, limits, now)
    need = need.within(limits)
    state = _remember_peak(state, need.replicas, limits, now)
    return _change(state, need, figures.target, limits, now)


def _need_by_requests(
    state: ScalingState, figures: Figures, limits: Limits, now: float
) -> tuple[ScalingState, _Need]:
    """Return the need by Serve's formula, which knows only requests that have reached it."""
    since = now if state.without_figures_since is None else state.without_figures_since
    state = replace(state, without_figures_since=since)
    wanted = _for_requests(figures.ongoing, limits)
    reason = f"the database gives no figures; {_requests(figures.ongoing, limits)}"
    if now - since <= HOLD_SECONDS and wanted <= figures.target:
        held = f"{reason}; none is taken away for lack of figures"
        return state, _Need(figures.target, held, "fallback")
    return state, _Need(wanted, reason, "fallback")


def _need_by_pages(
    state: ScalingState, figures: Figures, backlog: Backlog, limits: Limits, now: float
) -> tuple[ScalingState, _Need]:
    state = replace(state, without_figures_since=None)
    seconds = state.seconds_per_page or limits.seconds_per_page
    rate = limits.places / seconds
    own = backlog.running
    requests = _requests(figures.ongoing, limits)
    needs = (
        _for_backlog(backlog, rate, figures, limits),
        _Need(_to_stay(figures, limits), f"{requests} are worked on", "requests"),
        # Of other jobs only what they request now is known: they go on as they began.
        _Need(_for_requests(figures.ongoing - own, limits), requests, "requests"),
    )
    need = max(needs, key=lambda one: one.replicas)
    wanted, reason = need.replicas, f"{need.reason}; {seconds:.2g} s a page"
    state, is_behind = _watch_full_places(state, figures, backlog, limits, now)
    if is_behind and wanted <= figures.target:
        behind = "all places are taken and the pages do not become fewer"
        more = figures.target + max(1, figures.target // 4)
        return state, _Need(more, f"{reason}; {behind}", "behind")
    return state, replace(need, reason=reason, cause=need.cause if wanted else "idle")


def _for_backlog(backlog: Backlog, rate: float, figures: Figures, limits: Limits) -> _Need:
    """Return the need of all open pages.

    Its cause is the maximum where nearly as many are needed, and twice as many would end the pages sooner.
    """

    def most(limits: Limits) -> int:
        own = backlog.running
        return max(
            _for_pages(backlog.interactive + own, rate, figures, limits, INTERACTIVE_MARGIN),
            _for_pages(backlog.waiting + own, rate, figures, limits, BATCH_MARGIN),
        )

    wanted = most(limits)
    is_bound = (
        wanted * (1.0 + BATCH_MARGIN) >= limits.maximum
        and most(replace(limits, maximum=2 * limits.maximum)) > limits.maximum
    )
    return _Need(wanted, _pages(backlog), "maximum" if is_bound else "backlog")


def _for_pages(work: float, rate: float, figures: Figures, limits: Limits, margin: float) -> int:
    """Return the fewest replicas that do the work hardly later than the maximum would."""
    at_hand = figures.running * rate * limits.start
    if work <= at_hand:
        # Done before another replica could help: as many as do it in that time.
        return math.ceil(work / (rate * limits.start))
    rest = (work - at_hand) / rate
    shortest = limits.start + rest / max(1, limits.maximum)
    enough = math.ceil(rest / (shortest * (1.0 + margin) - limits.start))
    # A page takes one place: there is no use for more of them than pages.
    return max(figures.running, min(enough, math.ceil(work / limits.places)))


def _to_stay(figures: Figures, limits: Limits) -> int:
    """Return how many of the ordered replicas have work, with some to spare: this orders no others."""
    busy = min(figures.ongoing, float(figures.running * limits.places))
    return min(figures.target, math.ceil(busy / (limits.places * UTILISATION)))


def _for_requests(ongoing: float, limits: Limits) -> int:
    """Return the need by Serve's own formula."""
    return math.ceil(max(0.0, ongoing) / limits.places)


def _watch_full_places(
    state: ScalingState, figures: Figures, backlog: Backlog, limits: Limits, now: float
) -> tuple[ScalingState, bool]:
    """Return whether all places of all ordered replicas have been taken for a while, and no page less waits.

    A queue that only stays as it is would keep everybody waiting without ever being long enough for more.
    """
    work = backlog.waiting + backlog.running
    if not 0 < figures.target <= figures.running or figures.ongoing < figures.running * limits.places:
        return replace(state, full=None), False
    since, before = state.full or (now, work)
    patience = limits.start / 2 if backlog.oldest > LATE_SECONDS else limits.start
    if now - since < patience:
        return replace(state, full=(since, before)), False
    return replace(state, full=(now, work)), work >= before


def _measure(state: ScalingState, measured: float | None, taken: float) -> ScalingState:
    """Take in a measurement, once for each answer of Postgres."""
    if measured is None or taken == state.measured:
        return state
    before = state.seconds_per_page
    smoothed = measured if before is None else before + SMOOTHING * (measured - before)
    return replace(state, seconds_per_page=smoothed, measured=taken)


def _remember_peak(state: ScalingState, wanted: int, limits: Limits, now: float) -> ScalingState:
    higher = tuple(
        (time, need) for time, need in state.peaks if now - time <= limits.down_delay and need > wanted
    )
    return replace(state, peaks=(*higher, (now, wanted)))


def _change(state: ScalingState, need: _Need, target: int, limits: Limits, now: float) -> Decision:
    """Follow the need upwards at once, downwards when it has been lower for a while and by enough."""
    if need.replicas >= target:
        return Decision(need.replicas, need.reason, need.cause, state)
    if target > limits.maximum:
        return Decision(limits.maximum, f"at most {limits.maximum} are allowed", need.cause, state)
    begun = now if state.begun is None else state.begun
    peak = state.peaks[0][1]
    is_close = peak > target - max(1, target // 5) and peak > limits.minimum
    if is_close or now - begun < limits.down_delay:
        return Decision(target, f"{need.reason}; fewer have to be enough for longer", "patience", state)
    enough = f"{peak} have been enough for {limits.down_delay:.0f} s"
    return Decision(peak, f"{need.reason}; {enough}", need.cause, state)


def _pages(backlog: Backlog) -> str:
    if not backlog.waiting and not backlog.running:
        return "nothing waits"
    parts = [f"{backlog.waiting:.0f} pages wait"]
    if backlog.interactive:
        parts.append(f"{backlog.interactive:.0f} of them interactive, for up to {backlog.oldest:.0f} s")
    if backlog.running:
        parts.append(f"{backlog.running:.0f} are worked on")
    return ", ".join(parts)


def _requests(ongoing: float, limits: Limits) -> str:
    return f"{ongoing:.0f} requests, {limits.places} a replica"

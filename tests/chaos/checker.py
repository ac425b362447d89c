"""Judges a recorded history. Pure: it sees events only, and says in words whatever is wrong with them."""

from __future__ import annotations

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.chaos.history import (
    Answered,
    AnyEvent,
    Back,
    Broken,
    Counter,
    JobRow,
    Killed,
    Kind,
    Left,
    Memory,
    Row,
    RowKind,
    Seen,
    Sent,
)

ENDED = ("succeeded", "failed", "cancelled")
MADE: dict[Kind, RowKind] = {
    "prediction": "prediction",
    "prediction-async": "prediction",
    "document": "document",
    "transformation": "transformation",
    "data-bundle": "data-bundle",
}
# Their rows and their keys share a transaction, whatever dies when; the others are made apart from theirs.
MADE_WITH_THEIR_KEY = ("transformation", "data-bundle")
METER_OF: dict[RowKind, str] = {
    "document": "documents",
    "transformation": "transformations",
    "data-bundle": "data-bundles",
}
API = "API"
LIMIT = "Limit Exceeded"
STILL_ANSWERED = "The first request with this Idempotency-Key is still being answered"
GRACE_SECONDS = 1.0
GROWTH = 1.05
LEAST_GROWTH = 16 * 1024 * 1024
"""Ray's own daemons keep a history of bounded length; what they add in half an hour says nothing."""
OURS = ("pagemill", "ray::Dispatcher", "ray::UsageCounter", "ray::ServeReplica")


@dataclass(slots=True)
class _Operation:
    """What became of one operation, from its client's side."""

    sent: Sent
    acknowledged: list[str] = field(default_factory=list)
    refusals: list[Answered] = field(default_factory=list)
    uncertain: int = 0
    """Attempts of which the client cannot know whether they had an effect."""
    done: bool = False


def violations(history: Sequence[AnyEvent], *, longest_answer: float) -> list[str]:
    """All that is wrong, an empty list when nothing is. ``longest_answer`` is in seconds."""
    operations = _operations(history)
    rows = {event.id: event for event in history if isinstance(event, Row)}
    jobs: defaultdict[str, list[JobRow]] = defaultdict(list)
    for event in history:
        if isinstance(event, JobRow):
            jobs[event.subject_id].append(event)
    return [
        *_answers(history, longest_answer),
        *_acknowledged(operations, rows, jobs),
        *_effects(operations, rows),
        *_ends(rows, jobs),
        *_sightings(history, rows),
        *_counters(history, rows),
        *_refusals(operations, history),
        *_leftovers(history),
    ]


def _operations(history: Sequence[AnyEvent]) -> dict[int, _Operation]:
    operations: dict[int, _Operation] = {}
    for event in history:
        if isinstance(event, Sent):
            operations.setdefault(event.operation, _Operation(event))
        elif isinstance(event, Broken):
            operations[event.operation].uncertain += event.connected
        elif isinstance(event, Answered):
            _note_answer(operations[event.operation], event)
    return operations


def _note_answer(operation: _Operation, answer: Answered) -> None:
    if answer.subject_id is not None:
        operation.acknowledged.append(answer.subject_id)
    if answer.status < 300 or (operation.sent.kind == "deletion" and answer.status == 404):
        operation.done = True
    elif answer.status >= 500:
        operation.uncertain += answer.subject_id is None and answer.message != STILL_ANSWERED
    elif 400 <= answer.status < 500:
        operation.refusals.append(answer)


def _answers(history: Sequence[AnyEvent], longest: float) -> Iterator[str]:
    """Whatever is away, a request is answered, in time, and in JSON that says when to come again."""
    outages = list(_api_outages(history))
    for event in history:
        if isinstance(event, Broken):
            began = event.at - event.seconds
            if not any(began <= end + GRACE_SECONDS and event.at >= start for start, end in outages):
                yield f"{event.at}: operation {event.operation} got no answer: {event.error}"
        elif isinstance(event, Answered):
            where = f"{event.at}: operation {event.operation} was answered {event.status}"
            if event.seconds > longest:
                yield f"{where} only after {event.seconds:.1f} s"
            if event.status >= 300 and event.message is None:
                yield f"{where} without a message"
            if event.status >= 500 and (event.status not in (503, 504) or event.retry_after is None):
                yield f"{where}, not 503 with Retry-After: {event.message}"


def _api_outages(history: Sequence[AnyEvent]) -> Iterator[tuple[float, float]]:
    """When the API itself was away; only then a connection may break."""
    began: float | None = None
    for event in history:
        if isinstance(event, Killed) and event.what == API:
            began = event.at
        elif isinstance(event, Back) and event.what == API and began is not None:
            yield began, event.at
            began = None
    if began is not None:
        yield began, float("inf")


def _acknowledged(
    operations: dict[int, _Operation], rows: dict[str, Row], jobs: dict[str, list[JobRow]]
) -> Iterator[str]:
    """What was acknowledged is there, what was deleted is not."""
    for number, one in operations.items():
        for subject_id in set(one.acknowledged):
            if one.sent.kind == "deletion":
                if one.done and subject_id in rows:
                    yield f"{subject_id} was deleted by operation {number} and is there"
                continue
            row = rows.get(subject_id)
            # A synchronous prediction that fails is answered with its error, and nothing of it is kept.
            failed = {job.state for job in jobs.get(subject_id, [])} == {"failed"}
            if row is None and not (one.sent.kind == "prediction" and failed):
                yield f"{subject_id} was acknowledged to operation {number} and is not there"
            elif row is not None and row.operation != number:
                yield f"{subject_id} was acknowledged to operation {number} and is of {row.operation}"


def _effects(operations: dict[int, _Operation], rows: dict[str, Row]) -> Iterator[str]:
    """No operation has more effects than were acknowledged, or may have been begun by lost attempts."""
    made = Tally(row.operation for row in rows.values() if row.operation is not None)
    for number in made.keys() - operations.keys():
        yield f"operation {number} was never sent and made something"
    for number, one in operations.items():
        if one.sent.kind == "deletion":
            continue
        allowed = len(set(one.acknowledged)) + one.uncertain
        if one.sent.keyed and one.sent.kind in MADE_WITH_THEIR_KEY:
            allowed = min(allowed, 1)
        if made[number] > allowed:
            yield (
                f"operation {number} ({one.sent.kind}, {'with a' if one.sent.keyed else 'without'} key) made "
                f"{made[number]} rows, {allowed} at most are accounted for"
            )


def _ends(rows: dict[str, Row], jobs: dict[str, list[JobRow]]) -> Iterator[str]:
    """Each job ended once, and what it worked for says the same."""
    for subject_id, of_subject in jobs.items():
        for job in of_subject:
            if job.state not in ENDED:
                yield f"the job of {subject_id} is still {job.state} after attempt {job.attempt}"
            if job.ends != 1:
                yield f"the job of {subject_id} ended {job.ends} times"
    for row in rows.values():
        if row.kind == "document" or row.operation is None:
            continue
        states = [job.state for job in jobs.get(row.id, [])]
        if len(states) != 1:
            yield f"{row.id} has {len(states)} jobs"
        elif states != [row.status]:
            yield f"{row.id} is {row.status}, its job {states[0]}"


def _sightings(history: Sequence[AnyEvent], rows: dict[str, Row]) -> Iterator[str]:
    """What a client saw ended stays as it ended."""
    final: dict[str, str] = {}
    for event in history:
        if isinstance(event, Seen):
            if final.setdefault(event.subject_id, event.status) != event.status:
                yield f"{event.subject_id} was seen {final[event.subject_id]} and then {event.status}"
            if event.status not in ENDED:
                del final[event.subject_id]
    for subject_id, status in final.items():
        if subject_id in rows and rows[subject_id].status != status:
            yield f"{subject_id} was seen {status} and is {rows[subject_id].status}"
        elif subject_id not in rows and status != "failed":
            yield f"{subject_id} was seen {status} and is not there"


def _counters(history: Sequence[AnyEvent], rows: dict[str, Row]) -> Iterator[str]:
    """Counters are the work done, to the unit, and never were above their limits."""
    done: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows.values():
        if row.operation is None:
            continue
        if row.kind != "prediction":
            done[row.organization_id, METER_OF[row.kind]] += 1
        elif row.status == "succeeded":
            done[row.organization_id, "predictions"] += 1
            done[row.organization_id, "pages"] += row.pages
            done[row.organization_id, "fields"] += row.fields
            done[row.organization_id, "active-models"] = 1
    counted = {}
    for event in history:
        if isinstance(event, Counter):
            counted[event.organization_id, event.meter] = event.used
            if event.allowed is not None and event.highest > event.allowed:
                yield (
                    f"{event.organization_id}: {event.meter} rose to {event.highest:g}, "
                    f"{event.allowed:g} are allowed"
                )
    for key in sorted(done.keys() | counted.keys()):
        if done.get(key, 0) != counted.get(key, 0):
            yield f"{key[0]}: {counted.get(key, 0):g} {key[1]} counted, {done.get(key, 0)} done"


def _refusals(operations: dict[int, _Operation], history: Sequence[AnyEvent]) -> Iterator[str]:
    """Only a limit refuses, and of what is never given back only when all of it is used."""
    room = {
        (event.organization_id, event.meter): event.allowed - event.used
        for event in history
        if isinstance(event, Counter) and event.allowed is not None
    }
    for number, one in operations.items():
        for refusal in one.refusals:
            if (refusal.status, refusal.message) != (429, LIMIT):
                yield f"operation {number} was refused: {refusal.status} {refusal.message}"
                continue
            made = MADE.get(one.sent.kind)
            meter = None if made is None else METER_OF.get(made)
            if meter is not None and room.get((one.sent.organization_id, meter), 0) > 0:
                yield f"operation {number} was refused although {meter} were left"


def _leftovers(history: Sequence[AnyEvent]) -> Iterator[str]:
    """At the end every object has its row, or the sweep removes it, and every row has its object."""
    found = [event for event in history if isinstance(event, Left)]
    if len(found) != 1:
        yield "it was not looked what is left"
    for left in found:
        for name, count in (
            ("reservations of jobs that ended", left.reservations),
            ("datasets that count their documents wrong", left.miscounted_datasets),
            ("rows without their object", left.missing_objects),
            ("objects without a row that the sweep leaves", left.orphans_after_sweep),
        ):
            if count:
                yield f"{count} {name}"


def grown(histories: Sequence[Sequence[AnyEvent]]) -> list[str]:
    """Processes that hold more at the end of the last history than at the end of the first they lived in."""
    first: dict[tuple[int, str], int] = {}
    found = []
    last = {}
    for history in histories:
        last = _memory_at_the_end(history)
        for key, resident in last.items():
            first.setdefault(key, resident)
    for key, resident in last.items():
        ours = any(part in key[1] for part in OURS)
        allowed = max(GROWTH * first[key], first[key] + (0 if ours else LEAST_GROWTH))
        if resident > allowed:
            found.append(f"process {key[0]} grew from {first[key]} to {resident} bytes: {key[1]}")
    return found


def _memory_at_the_end(history: Sequence[AnyEvent]) -> dict[tuple[int, str], int]:
    ended = False
    found = {}
    for event in history:
        ended = ended or isinstance(event, Left)
        if ended and isinstance(event, Memory):
            found[event.process_id, event.title] = event.resident
    return found

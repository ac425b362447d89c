"""The judge is judged: a right history passes, and each wrong one is found out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.chaos.checker import API, STILL_ANSWERED, grown, violations
from tests.chaos.history import (
    Answered,
    AnyEvent,
    Back,
    Began,
    Broken,
    Counter,
    JobRow,
    Killed,
    Left,
    Memory,
    Recorder,
    Row,
    Seen,
    Sent,
    read,
)

ACME = "las:organization:acme"
LIMIT = "Limit Exceeded"
LONGEST = 30.0


@dataclasses.dataclass
class Story:
    """A history in the making."""

    events: list[AnyEvent] = dataclasses.field(default_factory=lambda: [Began(fault="none", seed=1)])

    def send(self, operation: int, kind: Any, *, keyed: bool = True, attempt: int = 1) -> None:
        self.events.append(
            Sent(operation=operation, organization_id=ACME, kind=kind, keyed=keyed, attempt=attempt)
        )

    def answer(self, operation: int, status: int, subject_id: str | None = None, **more: Any) -> None:
        if status >= 300:
            more = {"message": "Not available", "retry_after": "5", **more}
        more = {"attempt": 1, "seconds": 0.1, **more}
        self.events.append(Answered(operation=operation, status=status, subject_id=subject_id, **more))

    def lose(self, operation: int, *, at: float = 0.0, connected: bool = True) -> None:
        self.events.append(
            Broken(at=at, operation=operation, attempt=1, seconds=0.1, error="reset", connected=connected)
        )

    def row(self, kind: Any, row_id: str, operation: int | None, status: str | None, **more: Any) -> None:
        self.events.append(
            Row(kind=kind, id=row_id, organization_id=ACME, operation=operation, status=status, **more)
        )

    def job(self, subject_id: str, state: str, *, ends: int = 1) -> None:
        self.events.append(
            JobRow(
                id=f"job of {subject_id}",
                organization_id=ACME,
                subject_id=subject_id,
                kind="any",
                state=state,
                attempt=1,
                ends=ends,
            )
        )

    def count(self, meter: str, used: float, *, highest: float | None = None, allowed: float = 2.0) -> None:
        self.events.append(
            Counter(
                organization_id=ACME,
                meter=meter,
                used=used,
                highest=used if highest is None else highest,
                allowed=allowed,
            )
        )

    def end(self, **left: int) -> None:
        nothing = {
            "reservations": 0,
            "miscounted_datasets": 0,
            "missing_objects": 0,
            "orphans": 0,
            "orphans_after_sweep": 0,
        }
        self.events.append(Left(**nothing | left))

    def replace(self, kind: type, **members: Any) -> None:
        """Change the first event of a kind."""
        at = next(index for index, event in enumerate(self.events) if isinstance(event, kind))
        self.events[at] = msgspec.structs.replace(self.events[at], **members)

    def drop(self, kind: type) -> None:
        """Forget the first event of a kind."""
        self.events.remove(next(event for event in self.events if isinstance(event, kind)))


def one_of_each() -> Story:
    """All went well in spite of some 503: two predictions, a document, a deletion, and two refusals."""
    story = Story()
    story.send(0, "prediction")
    story.answer(0, 503, "p0", attempt=1)
    story.send(0, "prediction", attempt=2)
    story.answer(0, 200, "p0", attempt=2)
    story.send(1, "prediction-async", keyed=False)
    story.answer(1, 200, "p1")
    story.send(2, "document")
    story.lose(2, connected=False)
    story.answer(2, 503)
    story.answer(2, 200, "d2")
    story.send(3, "deletion", keyed=False)
    story.answer(3, 200, "d3")
    story.send(4, "transformation")
    story.answer(4, 200, "t4")
    story.send(5, "document")
    story.answer(5, 429, message=LIMIT)
    story.send(6, "prediction")
    story.answer(6, 503, "p6")
    story.answer(6, 429, message=LIMIT)
    story.events += [Seen(subject_id="p1", status="pending"), Seen(subject_id="p1", status="succeeded")]
    story.row("prediction", "p0", 0, "succeeded", pages=2, fields=3)
    story.row("prediction", "p1", 1, "succeeded", pages=1, fields=1)
    story.row("document", "d2", 2, None)
    story.row("document", "given", None, None)
    story.row("transformation", "t4", 4, "succeeded")
    for subject in ("p0", "p1", "t4"):
        story.job(subject, "succeeded")
    story.job("p6", "failed")
    story.count("predictions", 2)
    story.count("pages", 3, allowed=3)
    story.count("fields", 4, allowed=100)
    story.count("active-models", 1)
    story.count("documents", 1, allowed=1)
    story.count("transformations", 1)
    story.end(orphans=2)
    # The refused connection of operation 2 is within the API's absence.
    story.events.insert(1, Killed(what=API, process_ids=[1]))
    story.events.insert(len(story.events) - 1, Back(what=API, seconds=1.0))
    return story


def test_a_right_history_passes() -> None:
    assert violations(one_of_each().events, longest_answer=LONGEST) == []


def forget_row(story: Story) -> None:
    story.drop(Row)


def end_twice(story: Story) -> None:
    story.replace(JobRow, ends=2)


def never_end(story: Story) -> None:
    story.replace(JobRow, state="running", ends=0)


def end_otherwise(story: Story) -> None:
    story.replace(JobRow, state="failed")


def lose_a_job(story: Story) -> None:
    story.drop(JobRow)


def double_a_keyed_transformation(story: Story) -> None:
    story.row("transformation", "t4 again", 4, "succeeded")
    story.job("t4 again", "succeeded")
    story.count("transformations", 2)


def double_without_an_excuse(story: Story) -> None:
    story.row("prediction", "p1 again", 1, "failed")
    story.job("p1 again", "failed")


def double_after_a_busy_key(story: Story) -> None:
    story.answer(1, 503, message=STILL_ANSWERED)
    double_without_an_excuse(story)


def make_something_unasked(story: Story) -> None:
    story.row("document", "d9", 9, None)
    story.count("documents", 2)


def keep_what_was_deleted(story: Story) -> None:
    story.row("document", "d3", None, None)


def give_to_another(story: Story) -> None:
    story.replace(Row, operation=1)


def count_too_much(story: Story) -> None:
    story.replace(Counter, used=3.0)


def count_too_little(story: Story) -> None:
    story.replace(Counter, used=1.0)


def count_nothing(story: Story) -> None:
    story.drop(Counter)


def rise_above_the_limit(story: Story) -> None:
    story.replace(Counter, highest=3.0)


def refuse_for_nothing(story: Story) -> None:
    story.events = [
        msgspec.structs.replace(event, allowed=9.0)
        if isinstance(event, Counter) and event.meter == "documents"
        else event
        for event in story.events
    ]


def refuse_for_another_reason(story: Story) -> None:
    story.answer(5, 400, message="documentId: is no good")


def change_what_was_seen(story: Story) -> None:
    story.events += [Seen(subject_id="p1", status="failed")]


def see_another_end(story: Story) -> None:
    story.events += [Seen(subject_id="p0", status="failed")]


def see_what_is_gone(story: Story) -> None:
    story.events += [Seen(subject_id="p6", status="succeeded")]


def fall_back(story: Story) -> None:
    story.events += [Seen(subject_id="p1", status="pending")]


def answer_500(story: Story) -> None:
    story.answer(2, 500, message="Internal Server Error")


def answer_without_json(story: Story) -> None:
    story.answer(2, 503, message=None)


def answer_without_retry_after(story: Story) -> None:
    story.answer(2, 503, retry_after=None)


def answer_late(story: Story) -> None:
    story.replace(Answered, seconds=LONGEST + 1)


def break_off_without_a_reason(story: Story) -> None:
    story.replace(Back, at=5.0)
    story.lose(2, at=9.0)


def leave_a_reservation(story: Story) -> None:
    story.replace(Left, reservations=1)


def miscount_a_dataset(story: Story) -> None:
    story.replace(Left, miscounted_datasets=1)


def lose_an_object(story: Story) -> None:
    story.replace(Left, missing_objects=1)


def leave_an_object(story: Story) -> None:
    story.replace(Left, orphans_after_sweep=1)


def not_look(story: Story) -> None:
    story.drop(Left)


WRONGS: dict[Callable[[Story], None], str] = {
    forget_row: "p0 was acknowledged to operation 0 and is not there",
    end_twice: "the job of p0 ended 2 times",
    never_end: "the job of p0 is still running after attempt 1",
    end_otherwise: "p0 is succeeded, its job failed",
    lose_a_job: "p0 has 0 jobs",
    double_a_keyed_transformation: "operation 4 (transformation, with a key) made 2 rows, 1 at most",
    double_without_an_excuse: "operation 1 (prediction-async, without key) made 2 rows, 1 at most",
    double_after_a_busy_key: "operation 1 (prediction-async, without key) made 2 rows, 1 at most",
    make_something_unasked: "operation 9 was never sent and made something",
    keep_what_was_deleted: "d3 was deleted by operation 3 and is there",
    give_to_another: "p0 was acknowledged to operation 0 and is of 1",
    count_too_much: "3 predictions counted, 2 done",
    count_too_little: "1 predictions counted, 2 done",
    count_nothing: "0 predictions counted, 2 done",
    rise_above_the_limit: "predictions rose to 3, 2 are allowed",
    refuse_for_nothing: "operation 5 was refused although documents were left",
    refuse_for_another_reason: "operation 5 was refused: 400 documentId: is no good",
    change_what_was_seen: "p1 was seen succeeded and then failed",
    see_another_end: "p0 was seen failed and is succeeded",
    see_what_is_gone: "p6 was seen succeeded and is not there",
    fall_back: "p1 was seen succeeded and then pending",
    answer_500: "operation 2 was answered 500, not 503 with Retry-After",
    answer_without_json: "operation 2 was answered 503 without a message",
    answer_without_retry_after: "operation 2 was answered 503, not 503 with Retry-After",
    answer_late: "operation 0 was answered 503 only after 31.0 s",
    break_off_without_a_reason: "operation 2 got no answer: reset",
    leave_a_reservation: "1 reservations of jobs that ended",
    miscount_a_dataset: "1 datasets that count their documents wrong",
    lose_an_object: "1 rows without their object",
    leave_an_object: "1 objects without a row that the sweep leaves",
    not_look: "it was not looked what is left",
}


@pytest.mark.parametrize("wrong", WRONGS, ids=lambda wrong: wrong.__name__)
def test_each_wrong_history_is_found_out(wrong: Callable[[Story], None]) -> None:
    story = one_of_each()
    wrong(story)

    found = violations(story.events, longest_answer=LONGEST)

    assert any(WRONGS[wrong] in one for one in found), found


def test_a_lost_answer_excuses_one_more_effect_of_what_is_made_apart_from_its_key() -> None:
    story = one_of_each()
    story.lose(2)
    story.row("document", "d2 again", 2, None)
    story.events = [
        msgspec.structs.replace(event, used=2.0, highest=2.0, allowed=2.0)
        if isinstance(event, Counter) and event.meter == "documents"
        else event
        for event in story.events
    ]
    assert violations(story.events, longest_answer=LONGEST) == []


def memory(resident: int, title: str) -> list[AnyEvent]:
    """A history of a process that held other amounts before its end."""
    end = Left(reservations=0, miscounted_datasets=0, missing_objects=0, orphans=0, orphans_after_sweep=0)
    return [
        Memory(process_id=1, title=title, resident=1),
        end,
        Memory(process_id=1, title=title, resident=resident),
    ]


@pytest.mark.parametrize(
    ("title", "last", "told"),
    [
        ("ray::DispatcherActor", 105_000_000, False),
        ("ray::DispatcherActor", 105_000_001, True),
        ("python -m granian pagemill.api.app:create_app", 110_000_000, True),
        ("raylet", 110_000_000, False),
        ("raylet", 117_000_000, True),
    ],
)
def test_growth(title: str, last: int, told: bool) -> None:
    histories = [memory(100_000_000, title), memory(100_500_000, title), memory(last, title)]
    assert bool(grown(histories)) == told
    assert grown([*histories, []]) == [], "it did not live to the end"


def test_a_history_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "history.jsonl")
    events = one_of_each().events
    for event in events:
        recorder.note(event)
    recorder.close()

    recorded = read(recorder.path)

    assert [msgspec.structs.replace(event, at=0.0) for event in recorded] == [
        msgspec.structs.replace(event, at=0.0) for event in events
    ]
    assert [event.at for event in recorded] == sorted(event.at for event in recorded)

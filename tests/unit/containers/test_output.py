"""Bytes become lines whatever the pieces are, and of many lines the first and the last are kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pagemill.containers import output
from pagemill.containers.output import CUT_MARK, LAST_LINES, MOST_BYTES, MOST_LINES, LineSplitter, OutputLines

LONGEST = 100


def lines_of(pieces: list[bytes], longest: int = LONGEST) -> list[str]:
    splitter = LineSplitter(longest)
    return [line for piece in pieces for line in splitter.feed(piece)] + splitter.close()


@given(st.lists(st.binary(max_size=40)))
def test_pieces_make_no_difference(pieces: list[bytes]) -> None:
    assert lines_of(pieces) == lines_of([b"".join(pieces)])


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\0", codec="utf-8"), max_size=20)), st.data())
def test_lines_come_out_as_they_were_printed(lines: list[str], data: st.DataObject) -> None:
    printed = "".join(f"{line}\n" for line in lines).encode()
    cut = data.draw(st.integers(0, len(printed)))

    assert lines_of([printed[:cut], printed[cut:]]) == lines


def test_a_line_without_an_end_is_cut_and_takes_no_memory() -> None:
    splitter = LineSplitter(LONGEST)
    for _ in range(1000):
        assert splitter.feed(b"x" * 1000) == []

    assert len(splitter._begun) == LONGEST
    assert splitter.feed(b"\nnext\n") == ["x" * LONGEST + CUT_MARK, "next"]


def test_what_is_no_text_becomes_text_that_postgres_stores() -> None:
    assert lines_of([b"\xff\0\r\n"]) == ["\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"]


def test_streams_do_not_mix_within_a_line() -> None:
    lines = OutputLines(LONGEST)

    assert lines.feed(1, b"out") == []
    assert lines.feed(2, b"err\n") == ["err"]
    assert lines.feed(1, b"put\n") == ["output"]


def test_the_first_and_the_last_lines_are_kept_and_the_others_counted() -> None:
    lines = OutputLines(LONGEST)
    total = MOST_LINES + 1000
    kept = [line for number in range(total) for line in lines.feed(1, f"{number}\n".encode())]
    kept += lines.close()
    summary = lines.summary()

    assert kept == [str(number) for number in range(MOST_LINES)]
    assert summary[0].startswith(f"... {1000 - LAST_LINES:,} lines are left out")
    assert summary[1:] == [str(number) for number in range(total - LAST_LINES, total)]


def test_when_few_lines_are_too_many_all_of_them_are_kept() -> None:
    lines = OutputLines(LONGEST)
    total = MOST_LINES + 3
    kept = [line for number in range(total) for line in lines.feed(1, f"{number}\n".encode())]

    assert [*kept, *lines.summary()] == [str(number) for number in range(total)]


def test_long_lines_are_bounded_by_their_bytes() -> None:
    lines = OutputLines(16_384)
    kept = [line for _ in range(1000) for line in lines.feed(1, b"x" * 16_384 + b"\n")]

    assert sum(map(len, kept)) <= MOST_BYTES
    assert len(kept) == MOST_BYTES // 16_384
    assert lines.left_out == 1000 - len(kept)


def test_lines_that_were_taken_before_are_not_kept_again() -> None:
    lines = OutputLines(LONGEST, taken=2)

    assert lines.feed(1, b"one\ntwo\nthree\n") == ["three"]
    assert list(lines.last) == ["one", "two", "three"]


def test_it_is_said_when_nobody_counts_any_more() -> None:
    lines = OutputLines(LONGEST)
    while not lines.is_endless:
        lines.feed(1, b"y\n" * 10_000)
    lines.replace_last(["the", "end"])

    assert lines.count == output.MOST_COUNTED
    summary = lines.summary()
    assert summary[0].startswith("... more than 990,998 lines are left out")
    assert summary[1:] == ["the", "end"]


def test_the_number_is_exact_when_the_last_lines_are_those_that_were_read() -> None:
    lines = OutputLines(LONGEST)
    for number in range(MOST_LINES + 100):
        lines.feed(1, f"{number}\n".encode())
    lines.replace_last([str(number) for number in range(MOST_LINES + 50, MOST_LINES + 100)])

    assert lines.summary()[0].startswith("... 50 lines are left out")

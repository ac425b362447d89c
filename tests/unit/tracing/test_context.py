"""Contexts of traces, as clients send them: the valid ones are followed, anything else is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.tracing.context import (
    LONGEST_ENCODED,
    LONGEST_STATE,
    TraceContext,
    decode_context,
    parse_context,
    sent_context,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"

hexadecimal = st.text("0123456789abcdef", min_size=1, max_size=1)


def ids(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=length, max_size=length).filter(lambda text: text.strip("0"))


@pytest.mark.parametrize(
    ("parent", "sampled"),
    [
        (PARENT, True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"00-{TRACE}-{SPAN}-02", False),
        (f" {PARENT}\t", True),
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-will-be-in-the-next-version", True),
    ],
)
def test_a_valid_context_is_read(parent: str, sampled: bool) -> None:
    assert parse_context(parent) == TraceContext(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"0-{TRACE}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01.more",
        f"01-{TRACE}-{SPAN}-01-{'x' * 500}",
        f"{PARENT}\n",
        f"{PARENT}\nX-Other: 1",
        f"{PARENT}, {PARENT}",
        f"00-{'٤' * 32}-{SPAN}-01",
        f"00-{'４' * 32}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\0",
        "00-" * 100_000,
        "ünïcode",
    ],
)
def test_anything_else_is_none(parent: str) -> None:
    assert parse_context(parent) is None


@given(st.text(max_size=600))
def test_no_text_is_an_error(text: str) -> None:
    parsed = parse_context(text, text)
    assert parsed is None or parsed == parse_context(parsed.parent)
    decode_context(text)


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("vendor=value", "vendor=value"),
        ("one=1, two=2 ,,three=3", "one=1,two=2,three=3"),
        ("tenant@system=a:b;c", "tenant@system=a:b;c"),
        ("", ""),
        ("Vendor=value", ""),
        ("vendor", ""),
        ("vendor=", ""),
        ("vendor=with=sign", ""),
        ("vendor=ünïcode", ""),
        ("good=1,bad", ""),
        ("a=1\r\nX: 1", ""),
        (",".join(f"v{number}=1" for number in range(33)), ""),
        (f"v={'x' * LONGEST_STATE}", ""),
        ("v=" + "x" * 10_000_000, ""),
    ],
)
def test_what_other_vendors_add_is_kept_where_it_is_valid(state: str, kept: str) -> None:
    parsed = parse_context(PARENT, state)
    assert parsed is not None
    assert parsed.state == kept


@given(ids(32), ids(16), st.booleans(), st.sampled_from(["", "vendor=value", "a=1,b=x y z"]))
def test_a_row_carries_all_of_it(trace_id: str, span_id: str, sampled: bool, state: str) -> None:
    context = TraceContext(trace_id, span_id, sampled, state)
    assert decode_context(context.encode()) == context
    assert parse_context(context.parent, state) == context


def test_a_row_has_room_for_the_longest() -> None:
    state = f"v={'x' * 254},w={'y' * 253}"[:LONGEST_STATE]
    context = parse_context(PARENT, state)
    assert context is not None
    assert context.state == state
    assert len(context.encode()) <= LONGEST_ENCODED <= 600


def test_headers_are_read_and_two_parents_are_none() -> None:
    parent = (b"traceparent", PARENT.encode())
    others = [(b"authorization", b"Bearer x"), (b"x-traceparent", b"no")]
    states = [(b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    assert sent_context([*others, parent, *states]) == TraceContext(TRACE, SPAN, True, "a=1,b=2")
    assert sent_context([parent, parent]) is None
    assert sent_context(others) is None
    assert sent_context([(b"traceparent", b"\xff\xfe\x00")]) is None

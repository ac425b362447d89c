"""What a parser has raised becomes one sentence for the client, without the parser's internals."""

from __future__ import annotations

import pytest

from pagemill.extraction.reading.child import DAMAGED, failure_of
from pagemill.extraction.reading.read_messages import ReadFailure


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (
            OSError("cannot identify image file <_io.BytesIO object at 0x7f3c1ce0>"),
            ReadFailure(DAMAGED, "OSError: cannot identify image file <_io.BytesIO object at 0x7f3c1ce0>"),
        ),
        (
            OSError("image file is truncated (17 bytes not processed)"),
            ReadFailure(
                "The document is damaged: image file is truncated",
                "OSError: image file is truncated (17 bytes not processed)",
            ),
        ),
        (ValueError("first\nsecond"), ReadFailure(DAMAGED, "ValueError: first")),
        (ValueError("image file is truncated"), ReadFailure(DAMAGED, "ValueError: image file is truncated")),
        (KeyError(), ReadFailure(DAMAGED, "KeyError: ")),
        (ValueError("x" * 1000), ReadFailure(DAMAGED, ("ValueError: " + "x" * 1000)[:160])),
    ],
)
def test_failures(error: Exception, failure: ReadFailure) -> None:
    assert failure_of(error) == failure

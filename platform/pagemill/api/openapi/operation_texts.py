"""Summary and description of an operation, from its handler's docstring."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FIRST_SENTENCE = re.compile(r"(.+?)\.(?:\s+|$)", re.DOTALL)
_LIST_ITEM = re.compile(r"(?:[-*]|\d+\.) ")


class OperationTexts(NamedTuple):
    """The summary has no period at its end; the description is Markdown and may be empty."""

    summary: str
    description: str


def operation_texts(docstring: str) -> OperationTexts:
    """Return the first sentence of a docstring as the summary and the rest as the description."""
    text = docstring.replace("``", "`").strip()
    match = _FIRST_SENTENCE.match(text)
    if match is None:
        return OperationTexts(text, "")
    return OperationTexts(" ".join(match[1].split()), "\n\n".join(_paragraphs(text[match.end() :])))


def _paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs without the line breaks of the source; items of lists stay on lines of their own."""
    for paragraph in re.split(r"\n\s*\n", text):
        lines: list[str] = []
        for line in (one.strip() for one in paragraph.splitlines()):
            if lines and not _LIST_ITEM.match(line):
                lines[-1] += f" {line}"
            elif line:
                lines.append(line)
        if lines:
            yield "\n".join(lines)

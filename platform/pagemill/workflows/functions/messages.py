"""Messages between the dispatcher and the process that calls a function."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

LONGEST_MESSAGE = 4096
OUTPUT_BYTES = 256 * 1024
REPLY_BYTES = 2 * OUTPUT_BYTES
OUT_OF_MEMORY: Final = "Pagemill.FunctionOutOfMemory"
INVALID_RESULT: Final = "Pagemill.FunctionResultInvalid"

CALL: Final = b"c"
"""Sent before each call, with the descriptor that its prints go to."""

Status: TypeAlias = Literal["succeeded", "failed", "rejected", "retry"]
Pair: TypeAlias = dict[Literal["name", "value"], str]


class FunctionCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call: ``callable`` is ``module:name``, ``directory`` is searched for modules first.

    The process works in ``working_directory``, within ``memory_bytes`` of address space.
    """

    callable: str
    directory: str | None
    memory_bytes: int
    input: dict[str, Any]
    environment: list[Pair]
    working_directory: str = ""


class FunctionReply(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a call: an output, or a message and the name by which ``Retry`` knows the failure."""

    status: Status
    output: dict[str, Any] | None = None
    message: str | None = None
    error: str | None = None
    is_fit: bool = False
    """Whether the process can serve another call: the function has returned, and nothing of it runs on."""

"""States of the Amazon States Language, as they are written in a definition."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pagemill.ids import TransitionId
from pagemill.workflows.retries import Catcher, Retrier

LONGEST_NAME = 256
LONGEST_SECONDS = 99_999_999
"""About three years."""
MOST_BRANCHES = 100
MOST_ITEMS = 1000
"""Of a Map state."""

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
Resource: TypeAlias = Annotated[
    TransitionId, Meta(pattern=r"^las:transition:([a-f0-9]{32}|commons-[0-9A-Za-z-]{1,200})$(?!\n)")
]
Seconds: TypeAlias = Annotated[int, Meta(ge=1, le=LONGEST_SECONDS)]
Retry: TypeAlias = Annotated[list[Retrier], Meta(max_length=20)]
Catch: TypeAlias = Annotated[list[Catcher], Meta(max_length=20)]


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal", tag_field="Type"):
    comment: str = ""


class _Filtered(_State, frozen=True, kw_only=True):
    """State that takes a part of its input, and passes on a part of its output. Null stands for {}."""

    input_path: str | None = "$"
    output_path: str | None = "$"


class _Resulting(_Filtered, frozen=True, kw_only=True):
    """State that puts a result into its input. With the path null the result is dropped."""

    next: Name | None = None
    end: bool = False
    parameters: Any = UNSET
    result_path: str | None = "$"


class _Attempted(_Resulting, frozen=True, kw_only=True):
    """State that can be tried again, and whose errors can be caught."""

    result_selector: Any = UNSET
    retry: Retry | None = None
    catch: Catch = []


class Task(_Attempted, frozen=True, kw_only=True, tag="Task"):
    """State that runs a transition, whose output is its result."""

    resource: Resource
    timeout_seconds: Seconds | None = None
    timeout_seconds_path: str | UnsetType = UNSET
    heartbeat_seconds: Seconds | None = None
    heartbeat_seconds_path: str | UnsetType = UNSET


class Choice(_Filtered, frozen=True, kw_only=True, tag="Choice"):
    """State that goes on to the state of the first rule that holds."""

    choices: Annotated[list[Any], Meta(min_length=1)]
    default: Name | None = None


class Pass(_Resulting, frozen=True, kw_only=True, tag="Pass"):
    """State whose result is its ``Result``, or its input."""

    result: Any = UNSET


class Wait(_Filtered, frozen=True, kw_only=True, tag="Wait"):
    """State that waits for a time."""

    next: Name | None = None
    end: bool = False
    seconds: Annotated[int, Meta(ge=0, le=LONGEST_SECONDS)] | UnsetType = UNSET
    timestamp: str | UnsetType = UNSET
    seconds_path: str | UnsetType = UNSET
    timestamp_path: str | UnsetType = UNSET


class Succeed(_Filtered, frozen=True, kw_only=True, tag="Succeed"):
    """State that ends its machine as succeeded."""


class Fail(_State, frozen=True, kw_only=True, tag="Fail"):
    """State that ends its machine as failed."""

    error: Annotated[str, Meta(max_length=256)] = "States.Failed"
    cause: Annotated[str, Meta(max_length=4096)] = ""
    error_path: str | UnsetType = UNSET
    cause_path: str | UnsetType = UNSET


class Parallel(_Attempted, frozen=True, kw_only=True, tag="Parallel"):
    """State that runs machines at the same time; its result is the list of their outputs."""

    branches: Annotated[list[Any], Meta(min_length=1, max_length=MOST_BRANCHES)]


class Map(_Attempted, frozen=True, kw_only=True, tag="Map"):
    """State that runs a machine for each item of a list; its result is the list of their outputs."""

    items_path: str = "$"
    item_processor: Any = UNSET
    iterator: Any = UNSET
    item_selector: Any = UNSET
    max_concurrency: Annotated[int, Meta(ge=0, le=MOST_ITEMS)] = 0
    max_concurrency_path: str | UnsetType = UNSET


State: TypeAlias = Task | Choice | Pass | Wait | Succeed | Fail | Parallel | Map
Attempted: TypeAlias = Task | Parallel | Map


class ProcessorConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    """Mode in which a Map runs its machine: in the same execution."""

    mode: Literal["INLINE"] = "INLINE"


class MachineMembers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal", kw_only=True):
    """A state machine as it is written: a definition, a branch or what a Map does with an item."""

    start_at: Name
    states: Annotated[dict[Name, Any], Meta(min_length=1)]
    comment: str = ""
    version: Literal["1.0"] = "1.0"
    processor_config: ProcessorConfig | None = None


EXCLUSIVE = (
    *(
        (name, f"{name}Path")
        for name in ("TimeoutSeconds", "HeartbeatSeconds", "MaxConcurrency", "Error", "Cause")
    ),
    ("ItemSelector", "Parameters"),
)
"""Members of which a state has one at most."""
UNSUPPORTED = {
    "QueryLanguage": "only JSONPath is",
    **dict.fromkeys(("Arguments", "Output", "Assign", "Items"), "they need JSONata or variables"),
    **dict.fromkeys(
        ("ToleratedFailureCount", "ToleratedFailurePercentage"), "one failed item fails the state"
    ),
    **dict.fromkeys(
        ("ToleratedFailureCountPath", "ToleratedFailurePercentagePath"), "see ToleratedFailureCount"
    ),
    **dict.fromkeys(("ItemReader", "ItemBatcher", "ResultWriter"), "items come from the state's input"),
    "Credentials": "a transition has its own",
}

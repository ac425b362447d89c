"""Failures of states, by the names that Retry and Catch know."""

from __future__ import annotations

from typing import Final

RUNTIME: Final = "States.Runtime"
"""The definition does not fit the data. No Retry and no Catch is for it."""
DATA_LIMIT: Final = "States.DataLimitExceeded"
NO_CHOICE: Final = "States.NoChoiceMatched"
PARAMETER_PATH: Final = "States.ParameterPathFailure"
RESULT_PATH: Final = "States.ResultPathMatchFailure"
INTRINSIC: Final = "States.IntrinsicFailure"
BRANCH_FAILED: Final = "States.BranchFailed"
TIMED_OUT: Final = "States.Timeout"
HEARTBEAT_TIMED_OUT: Final = "States.HeartbeatTimeout"
TASK_FAILED: Final = "States.TaskFailed"
TASK_LOST: Final = "Pagemill.TaskLost"
"""Error of a task whose worker was lost, which is not the task's fault."""
ALL: Final = "States.ALL"


class StateFailed(Exception):
    """A state has failed.

    ``retriable`` when trying again could help: data stay as they are. ``asked`` when the task's worker asks
    for another attempt. ``state`` is set once the state itself could do nothing about it.
    """

    def __init__(
        self,
        error: str,
        cause: str,
        *,
        retriable: bool = False,
        deliberate: bool = False,
        asked: bool = False,
    ) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause
        self.retriable = retriable
        self.deliberate = deliberate
        self.asked = asked
        self.state: str | None = None


class WorkSpent(Exception):
    """A decision needs more work than one may do."""


def stands_for(name: str, error: str, *, of_branch: bool = False) -> bool:
    """Return whether a name in ErrorEquals is for an error; ``of_branch`` of the state's branches."""
    if error == RUNTIME:
        return False
    if name == error or (of_branch and name == BRANCH_FAILED):
        return True
    if name == ALL:
        return error != DATA_LIMIT
    if name == TIMED_OUT:
        return error == HEARTBEAT_TIMED_OUT
    return name == TASK_FAILED and error not in (TIMED_OUT, HEARTBEAT_TIMED_OUT, DATA_LIMIT)

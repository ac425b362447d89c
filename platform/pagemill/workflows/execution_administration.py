"""Administration of executions of workflows: operators try them again, and end them."""

from __future__ import annotations

from db.statements import Connection
from pagemill.errors import NotFound
from pagemill.ids import WorkflowExecutionId
from pagemill.workflows.execution_reports import ExecutionStory, find_execution
from pagemill.workflows.progress import LockedExecution
from pagemill.workflows.workflow_executions import cancel, lock_execution, retry

OPERATOR = "the operator"


async def retry_execution(connection: Connection, execution_id: WorkflowExecutionId) -> ExecutionStory:
    """Let an execution go on in the state that has failed; return its story.

    Raises NotFound, BadRequest when it neither waits nor has failed, and LimitExceeded.
    """
    async with connection.transaction():
        await retry(await _lock(connection, execution_id), by=OPERATOR)
    return await find_execution(connection, execution_id)


async def cancel_execution(connection: Connection, execution_id: WorkflowExecutionId) -> ExecutionStory:
    """End an execution as failed, with its running steps; return its story.

    Raises NotFound, and BadRequest when it has ended.
    """
    async with connection.transaction():
        await cancel(await _lock(connection, execution_id), by=OPERATOR)
    return await find_execution(connection, execution_id)


async def _lock(connection: Connection, execution_id: WorkflowExecutionId) -> LockedExecution:
    """Look an execution up, and lock it. Raises NotFound."""
    story = await find_execution(connection, execution_id)
    execution = await lock_execution(connection, story.organization_id, execution_id)
    if execution is None:
        raise NotFound(f"there is no execution {execution_id} of a workflow")
    return execution

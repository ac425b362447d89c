-- An operator lists the newest executions, of whichever workflow.
CREATE INDEX workflow_execution_newest ON workflow_execution (start_time DESC, id);

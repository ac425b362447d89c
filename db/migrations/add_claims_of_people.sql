-- A deferred execution is offered from ``deferred_until`` on, as if it had come then. ``former_claims`` has the
-- claims of people that have ended, oldest first.
ALTER TABLE transition_execution
    ADD COLUMN deferred_until timestamptz,
    ADD COLUMN former_claims jsonb NOT NULL DEFAULT '[]';

DROP INDEX transition_execution_waiting;
CREATE INDEX transition_execution_waiting
    ON transition_execution (organization_id, transition_id, coalesce(deferred_until, created_time), id)
    WHERE status = 'running';

-- For the operator's figures, which are of all organizations.
CREATE INDEX transition_execution_ended ON transition_execution (end_time) WHERE end_time IS NOT NULL;
CREATE INDEX workflow_execution_open ON workflow_execution (status) WHERE status IN ('running', 'retry');

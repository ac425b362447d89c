-- Where an execution of a workflow stands; null for those that an earlier release has started.
ALTER TABLE workflow_execution ADD COLUMN machine jsonb;

ALTER TABLE transition_execution
    ADD COLUMN key text,
    ADD COLUMN timeout_in_seconds integer,
    ADD COLUMN heartbeat_seconds integer,
    ADD COLUMN running_since timestamptz;

CREATE INDEX transition_execution_running_of
    ON transition_execution (workflow_execution_id) WHERE status = 'running';

-- Steps that run already time out as well.
INSERT INTO job (organization_id, id, kind, subject_id, maximum_attempts, run_after)
SELECT organization_id, replace(gen_random_uuid()::text, '-', ''), 'workflow-timer', id, 20, expires
FROM transition_execution WHERE status = 'running' AND expires IS NOT NULL;

-- Most timers are not due for long: those that are have to be found without looking at the others.
CREATE INDEX job_timer ON job (organization_id, run_after, id)
    WHERE state = 'queued' AND kind = 'workflow-timer';

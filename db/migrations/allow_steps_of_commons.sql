-- A step may run a transition of all organizations, which has no row. Who deletes a transition deletes its executions.
ALTER TABLE transition_execution DROP CONSTRAINT transition_execution_transition_id_fkey;

-- An operator asks what failed lately; among all that has ended these are few.
CREATE INDEX job_failed ON job (ended_time) WHERE state = 'failed';

-- A length that Postgres checks for new values only: no row is looked at.
ALTER TABLE job ADD COLUMN trace_context character varying(600) DEFAULT NULL;

"""What a database needs for a simulation: its clock, its notifications and its memory are the simulation's.

The functions stand in a schema that is looked through before ``pg_catalog``: the statements are the product's
own, to the letter.
"""

from __future__ import annotations

SEARCH_PATH = "simulation, pg_catalog, public"

SCHEMA = """
CREATE SCHEMA simulation;

-- In microseconds; a transaction sets it when it begins.
CREATE FUNCTION simulation.now() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT timestamptz 'epoch'
        + interval '1 microsecond' * pg_catalog.current_setting('simulation.now')::bigint
$$;

CREATE TABLE simulation.notification (channel text NOT NULL, payload text NOT NULL);

CREATE FUNCTION simulation.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO simulation.notification VALUES ($1, $2);
END
$$;

CREATE FUNCTION simulation.refuse(text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'refused' USING ERRCODE = $1;
END
$$;

-- Every state that a job was ever committed in, and the most that was ever counted.
CREATE TABLE simulation.job_state (
    id bigint GENERATED ALWAYS AS IDENTITY,
    job_id text NOT NULL, attempt integer NOT NULL, state text NOT NULL
);
CREATE TABLE simulation.peak (
    organization_id text, month text, meter text, used numeric NOT NULL,
    PRIMARY KEY (organization_id, month, meter)
);

CREATE FUNCTION simulation.note_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO simulation.job_state (job_id, attempt, state) VALUES (new.id, new.attempt, new.state);
    RETURN NULL;
END
$$;
CREATE TRIGGER simulation_insert AFTER INSERT ON public.job
    FOR EACH ROW EXECUTE FUNCTION simulation.note_transition();
CREATE TRIGGER simulation_update AFTER UPDATE ON public.job
    FOR EACH ROW WHEN (old.state <> new.state OR new.state IN ('succeeded', 'failed', 'cancelled'))
    EXECUTE FUNCTION simulation.note_transition();

CREATE FUNCTION simulation.note_peak() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO simulation.peak AS peak VALUES (new.organization_id, new.month, new.meter, new.used)
    ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = greatest(peak.used, excluded.used);
    RETURN NULL;
END
$$;
CREATE TRIGGER simulation_peak AFTER INSERT OR UPDATE ON public.usage_counter
    FOR EACH ROW EXECUTE FUNCTION simulation.note_peak();

-- Ids that Postgres draws follow from their order.
CREATE SEQUENCE simulation.ids;
CREATE FUNCTION simulation.gen_random_uuid() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT md5(nextval('simulation.ids')::text)::uuid
$$;

-- Every end of an execution of a workflow or of a step, and how long people and workers were at the step.
CREATE TABLE simulation.flow_end (
    id text NOT NULL, status text NOT NULL, is_step boolean NOT NULL,
    minutes numeric NOT NULL DEFAULT 0, user_minutes numeric NOT NULL DEFAULT 0
);

CREATE FUNCTION simulation.note_execution_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO simulation.flow_end (id, status, is_step) VALUES (new.id, new.status, false);
    RETURN NULL;
END
$$;
CREATE TRIGGER simulation_end AFTER UPDATE ON public.workflow_execution
    FOR EACH ROW WHEN (old.status <> new.status) EXECUTE FUNCTION simulation.note_execution_end();

CREATE FUNCTION simulation.note_step_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lapsed boolean := new.claimed_by IS NOT NULL AND new.completed_by IS DISTINCT FROM new.claimed_by
        AND new.heartbeat_time < simulation.now() - interval '60 seconds'
        AND new.heartbeat_time + interval '60 seconds' <= new.expires;
    until timestamptz := least(CASE WHEN lapsed THEN new.heartbeat_time ELSE new.end_time END, new.expires);
    last numeric := greatest(0, extract(epoch FROM until - coalesce(new.claimed_time, new.running_since)));
    former numeric := (
        SELECT coalesce(sum(extract(epoch FROM
            (claim ->> 'endedTime')::timestamptz - (claim ->> 'claimedTime')::timestamptz
        )), 0)
        FROM jsonb_array_elements(new.former_claims) AS claim
    );
BEGIN
    INSERT INTO simulation.flow_end VALUES (
        new.id, new.status, true, (coalesce(last, 0) + former) / 60,
        (CASE WHEN new.claimed_by IS NULL THEN 0 ELSE coalesce(last, 0) END + former) / 60
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER simulation_end AFTER UPDATE ON public.transition_execution
    FOR EACH ROW WHEN (old.status <> new.status) EXECUTE FUNCTION simulation.note_step_end();

-- Columns that are given the time by default are given the simulation's; plans must not depend on statistics.
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public'
            AND (column_default ILIKE '%now()%' OR column_default ILIKE '%current_timestamp%')
    LOOP
        EXECUTE format('ALTER TABLE public.%I ALTER COLUMN %I SET DEFAULT simulation.now()',
            found.table_name, found.column_name);
    END LOOP;
    FOR found IN SELECT tablename, schemaname FROM pg_tables WHERE schemaname IN ('public', 'simulation') LOOP
        EXECUTE format('ALTER TABLE %I.%I SET (autovacuum_enabled = false)',
            found.schemaname, found.tablename);
    END LOOP;
END
$$;
"""

TOUCHED = (
    *(f"simulation.{table}" for table in ("notification", "job_state", "peak", "flow_end")),
    *(
        f"public.{table}"
        for table in (
            *("job", "usage_reservation", "usage_counter", "prediction", "training", "data_bundle", "model"),
            *("log_event", "log", "transition_execution", "workflow_execution", "transition", "workflow"),
            *("document", "app_client", "organization", "plan"),
        )
    ),
)
FROM_THE_FIRST_ID = "SELECT setval('simulation.ids', 1, false)"
EMPTY = "; ".join([*(f"DELETE FROM {table}" for table in TOUCHED), FROM_THE_FIRST_ID])
TRUNCATE = f"TRUNCATE {', '.join(TOUCHED)} CASCADE; {FROM_THE_FIRST_ID}"
"""Takes longer, and takes away what deleted rows leave behind."""

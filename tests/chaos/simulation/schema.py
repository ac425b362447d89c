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
CREATE TABLE simulation.transition (
    id bigint GENERATED ALWAYS AS IDENTITY,
    job_id text NOT NULL, attempt integer NOT NULL, state text NOT NULL
);
CREATE TABLE simulation.peak (
    organization_id text, month text, meter text, used numeric NOT NULL,
    PRIMARY KEY (organization_id, month, meter)
);

CREATE FUNCTION simulation.note_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO simulation.transition (job_id, attempt, state) VALUES (new.id, new.attempt, new.state);
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
    *(f"simulation.{table}" for table in ("notification", "transition", "peak")),
    *(
        f"public.{table}"
        for table in (
            *("job", "usage_reservation", "usage_counter", "prediction", "training", "data_bundle", "model"),
            *("document", "app_client", "organization", "plan"),
        )
    ),
)
EMPTY = "; ".join(f"DELETE FROM {table}" for table in TOUCHED)
TRUNCATE = f"TRUNCATE {', '.join(TOUCHED)} CASCADE"
"""Takes longer, and takes away what deleted rows leave behind."""

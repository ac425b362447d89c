-- Dispatchers announce themselves here, for operators and for the admission of jobs; no decision about a job
-- depends on it. Nothing is lost with it, so it takes no part in the log of the database.
CREATE UNLOGGED TABLE dispatcher (
    name text PRIMARY KEY DEFAULT '',
    role text NOT NULL DEFAULT '',
    release text NOT NULL DEFAULT '',
    owner text NOT NULL DEFAULT '',
    listening boolean NOT NULL DEFAULT false,
    draining boolean NOT NULL DEFAULT false,
    slots jsonb NOT NULL DEFAULT '{}',
    running jsonb NOT NULL DEFAULT '{}',
    expires timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

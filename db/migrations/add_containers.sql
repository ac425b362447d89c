-- Credentials that a container is given when it has none of its owner's. They end with its step.
CREATE TABLE container_credential (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    subject_id text NOT NULL DEFAULT '',
    secret_hash text NOT NULL DEFAULT '',
    permissions jsonb NOT NULL DEFAULT '[]',
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX container_credential_of_subject ON container_credential (organization_id, subject_id);

-- Lines of a container's output that stand in its log, or were left out.
ALTER TABLE log ADD COLUMN output_lines bigint NOT NULL DEFAULT 0;

-- Mail names a workflow by its address alone.
CREATE UNIQUE INDEX workflow_by_mail_address ON workflow (lower(email_config ->> 'email'));

CREATE TABLE workflow_mail (
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    workflow_id text NOT NULL DEFAULT '' REFERENCES workflow (id) ON DELETE CASCADE,
    message_key text NOT NULL DEFAULT '',
    message_id text,
    origin text NOT NULL DEFAULT '',
    outcome text NOT NULL DEFAULT 'refused' CHECK (outcome IN ('started', 'ignored', 'refused')),
    executions integer NOT NULL DEFAULT 0,
    detail text,
    received_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (organization_id, workflow_id, message_key)
);

CREATE INDEX workflow_mail_by_time ON workflow_mail (organization_id, received_time);
CREATE INDEX workflow_mail_of_workflow ON workflow_mail (workflow_id);

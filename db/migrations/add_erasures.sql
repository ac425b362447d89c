-- Resources that are gone, and whose values are still looked for in executions, logs and kept answers. A row goes
-- when nothing that was under way at the deletion can write such values any more.
CREATE TABLE erased_resource (
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    id text NOT NULL DEFAULT '',
    consent_id text,
    existed_from timestamptz,
    erased_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    objects_erased boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization_id, id)
);

CREATE INDEX erased_resource_by_consent ON erased_resource (organization_id, consent_id);

-- Documents and predictions that an answer names: it is emptied with them.
ALTER TABLE idempotency_key ADD COLUMN named jsonb NOT NULL DEFAULT '[]';
CREATE INDEX idempotency_key_naming ON idempotency_key (organization_id) WHERE named <> '[]';

-- The erasure of values walks through the executions of transitions that belong to no workflow.
CREATE INDEX transition_execution_alone ON transition_execution (organization_id, id)
    WHERE workflow_execution_id IS NULL;

-- Earlier releases kept predictions of documents that are gone.
INSERT INTO erased_resource (organization_id, id)
SELECT DISTINCT organization_id, document_id FROM prediction
WHERE NOT EXISTS (
    SELECT FROM document
    WHERE document.organization_id = prediction.organization_id AND document.id = prediction.document_id
);

-- The whole schema of the first release: one CREATE TABLE per table with its constraints, then its indexes.
--
-- Columns are explained in db/tables, which has to agree with this file (a test compares them).
-- Ids are the API's own text ids. A table with an organization_id belongs to that organization, and every
-- statement on it filters by it.
--
-- Indexes: <table>_by_<order> serves a list in that order, whose pages continue after (time, id);
-- <table>_of_<parent> serves a foreign key, so that deleting the parent does not scan the table.


-- Organizations and who may act in them

CREATE TABLE plan (
    id text PRIMARY KEY DEFAULT '',
    slug text NOT NULL DEFAULT '',
    version integer NOT NULL DEFAULT 0,
    organization_id text,
    name text,
    description text,
    available boolean NOT NULL DEFAULT true,
    currency text NOT NULL DEFAULT 'EUR',
    limited_by text NOT NULL DEFAULT 'pages',
    definition jsonb NOT NULL DEFAULT '{}',
    allowed jsonb NOT NULL DEFAULT '{}',
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (slug, version)
);

CREATE INDEX plan_slug ON plan (slug);

CREATE TABLE organization (
    id text PRIMARY KEY DEFAULT '',
    name text,
    description text,
    plan_id text,
    payment_method_id text,
    document_retention_in_days integer NOT NULL DEFAULT 1825,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_time timestamptz,
    updated_by text
);

CREATE TABLE role (
    id text PRIMARY KEY DEFAULT '',
    name text,
    description text,
    permissions jsonb NOT NULL DEFAULT '[]',
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE app_client (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    client_id text NOT NULL DEFAULT '' UNIQUE,
    secret_hash text,
    name text,
    description text,
    configuration jsonb NOT NULL DEFAULT '{}',
    role_ids jsonb NOT NULL DEFAULT '[]',
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX app_client_by_time ON app_client (organization_id, created_time, id);
CREATE INDEX app_client_organization_id ON app_client (organization_id);

CREATE TABLE profile (
    id text PRIMARY KEY DEFAULT '',
    email text NOT NULL DEFAULT '' UNIQUE,
    given_name text,
    family_name text,
    name text,
    picture text,
    locale text,
    metadata jsonb,
    number_of_organizations_allowed integer NOT NULL DEFAULT 1,
    number_of_organizations_created integer NOT NULL DEFAULT 0,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_time timestamptz
);

CREATE TABLE organization_user (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    email text NOT NULL DEFAULT '',
    profile_id text REFERENCES profile (id),
    app_client_id text,
    status text NOT NULL DEFAULT 'invite_pending'
        CHECK (status IN ('inactive', 'active', 'invite_pending')),
    invitation_expires timestamptz,
    metadata jsonb,
    role_ids jsonb NOT NULL DEFAULT '[]',
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text,
    UNIQUE (organization_id, email)
);

CREATE INDEX organization_user_by_time ON organization_user (organization_id, created_time, id);
CREATE INDEX organization_user_profile ON organization_user (profile_id);

CREATE TABLE idempotency_key (
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    principal_id text NOT NULL DEFAULT '',
    key text NOT NULL DEFAULT '',
    fingerprint text NOT NULL DEFAULT '',
    status_code integer,
    body bytea,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (organization_id, principal_id, key)
);

CREATE INDEX idempotency_key_by_age ON idempotency_key (created_time);

-- Unlogged: after a crash every bucket may start full, which is cheaper than logging each request.
CREATE UNLOGGED TABLE request_allowance (
    organization_id text PRIMARY KEY DEFAULT '',
    tokens double precision NOT NULL DEFAULT 0.0,
    granted integer NOT NULL DEFAULT 0,
    refilled_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);


-- Usage

-- Counters are updated all the time. With free space on its page a new version of a row needs no new index
-- entry (a heap-only tuple), hence the fill factor.
CREATE TABLE usage_counter (
    organization_id text NOT NULL DEFAULT '',
    month text NOT NULL DEFAULT '',
    meter text NOT NULL DEFAULT '',
    used numeric NOT NULL DEFAULT 0 CHECK (used >= 0),
    PRIMARY KEY (organization_id, month, meter)
) WITH (fillfactor = 50);

-- Called by the statement that counts, with the organizations whose limit it would exceed. Raising inside the
-- statement also undoes what the same statement has counted for others.
CREATE FUNCTION refuse_exceeded(organizations text[]) RETURNS void LANGUAGE plpgsql AS $function$
    BEGIN
        IF cardinality(organizations) > 0 THEN
            RAISE EXCEPTION 'more than the plan allows was counted for %', organizations
                USING ERRCODE = 'PM429';
        END IF;
    END
    $function$;

CREATE TABLE usage_reservation (
    organization_id text NOT NULL DEFAULT '',
    job_id text NOT NULL DEFAULT '',
    month text NOT NULL DEFAULT '',
    meter text NOT NULL DEFAULT '',
    amount numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, meter)
);

CREATE TABLE limit_warning (
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    month text NOT NULL DEFAULT '',
    meter text NOT NULL DEFAULT '',
    threshold integer NOT NULL DEFAULT 0,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (organization_id, month, meter, threshold)
);

CREATE TABLE month_statement (
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    month text NOT NULL DEFAULT '',
    content jsonb NOT NULL DEFAULT '{}',
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (organization_id, month)
);

CREATE TABLE payment_method (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    name text,
    description text,
    details jsonb,
    setup_intent_secret_hash text,
    stripe_setup_intent_id text,
    stripe_payment_method_id text,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX payment_method_by_time ON payment_method (organization_id, created_time, id);


-- Jobs

CREATE TABLE job (
    id text PRIMARY KEY DEFAULT '',
    kind text NOT NULL DEFAULT '',
    organization_id text NOT NULL DEFAULT '',
    subject_id text NOT NULL DEFAULT '',
    payload jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    priority integer NOT NULL DEFAULT 0,
    attempt integer NOT NULL DEFAULT 0,
    maximum_attempts integer NOT NULL DEFAULT 3,
    lost_workers integer NOT NULL DEFAULT 0,
    run_after timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    lease_owner text,
    lease_expires timestamptz,
    cancel_requested boolean NOT NULL DEFAULT false,
    error_class text,
    error_message text,
    retryable boolean,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    started_time timestamptz,
    ended_time timestamptz
);

-- Partial indexes: claims and leases read the few jobs that are queued or running, not the ended ones.
CREATE INDEX job_queued ON job (kind, organization_id, priority, created_time, id) WHERE state = 'queued';
CREATE INDEX job_running ON job (lease_expires) WHERE state = 'running';
CREATE INDEX job_running_of ON job (kind, organization_id) WHERE state = 'running';
CREATE INDEX job_ended ON job (ended_time) WHERE ended_time IS NOT NULL;
CREATE INDEX job_of_subject ON job (organization_id, subject_id);


-- Documents

CREATE TABLE dataset (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    name text,
    description text,
    metadata jsonb,
    retention_in_days integer NOT NULL DEFAULT 1825,
    contains_pii boolean NOT NULL DEFAULT true,
    number_of_documents integer NOT NULL DEFAULT 0 CHECK (number_of_documents >= 0),
    ground_truth_summary jsonb NOT NULL DEFAULT '{}',
    version integer NOT NULL DEFAULT 0,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX dataset_by_time ON dataset (organization_id, created_time, id);

CREATE TABLE document (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    dataset_id text REFERENCES dataset (id),
    consent_id text,
    name text,
    description text,
    metadata jsonb,
    ground_truth jsonb NOT NULL DEFAULT '[]',
    retention_in_days integer NOT NULL DEFAULT 1825,
    content_key text,
    content_type text,
    content_md5 text,
    content_size bigint,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX document_by_time ON document (organization_id, created_time, id);
CREATE INDEX document_by_dataset ON document (organization_id, dataset_id, created_time, id);
CREATE INDEX document_by_consent ON document (organization_id, consent_id, created_time, id);
-- The sweep of objects walks ids in the order of object keys, which is that of bytes.
CREATE INDEX document_by_id ON document (organization_id, id COLLATE "C");
CREATE INDEX document_dataset ON document (dataset_id);
-- When retention ends. Without a time zone: with one the sum depends on the session and cannot be indexed.
CREATE INDEX document_due ON document (
    organization_id, ((created_time AT TIME ZONE 'UTC') + retention_in_days * interval '1 day')
);

CREATE TABLE transformation (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    dataset_id text NOT NULL DEFAULT '' REFERENCES dataset (id) ON DELETE CASCADE,
    operations jsonb NOT NULL DEFAULT '[]',
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'succeeded', 'failed')),
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX transformation_by_dataset ON transformation (organization_id, dataset_id, created_time, id);


-- Models

-- field_config is json, not jsonb: the order of its fields is kept.
CREATE TABLE model (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    name text,
    description text,
    metadata jsonb NOT NULL DEFAULT '{}',
    field_config json NOT NULL DEFAULT '{}',
    preprocess_config jsonb NOT NULL DEFAULT '{}',
    postprocess_config jsonb NOT NULL DEFAULT '{}',
    training_id text,
    shared boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 0,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX model_by_time ON model (organization_id, created_time, id);
CREATE INDEX model_shared ON model (organization_id, created_time, id) WHERE shared;

CREATE TABLE data_bundle (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    model_id text NOT NULL DEFAULT '' REFERENCES model (id) ON DELETE CASCADE,
    name text,
    description text,
    datasets jsonb NOT NULL DEFAULT '[]',
    summary jsonb,
    status text NOT NULL DEFAULT 'running',
    object_key text,
    retention_in_days integer NOT NULL DEFAULT 1825,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX data_bundle_by_model ON data_bundle (organization_id, model_id, created_time, id);
-- As document_due.
CREATE INDEX data_bundle_due ON data_bundle (
    organization_id, ((created_time AT TIME ZONE 'UTC') + retention_in_days * interval '1 day')
);

CREATE TABLE deployment_environment (
    id text PRIMARY KEY DEFAULT '',
    organization_id text,
    name text,
    description text,
    model_deployment_units integer NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'available' CHECK (status IN ('available', 'unavailable')),
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE training (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    model_id text NOT NULL DEFAULT '' REFERENCES model (id) ON DELETE CASCADE,
    name text,
    description text,
    metadata jsonb,
    data_bundle_ids jsonb NOT NULL DEFAULT '[]',
    warm_start_config jsonb,
    instance_type text NOT NULL DEFAULT 'small-gpu',
    data_scientist_assistance boolean NOT NULL DEFAULT false,
    deployment_environment_id text,
    status text NOT NULL DEFAULT 'pending',
    evaluation jsonb NOT NULL DEFAULT '{}',
    gpu_hours double precision,
    artefact_key text,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX training_by_model ON training (organization_id, model_id, created_time, id);

CREATE TABLE prediction (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    document_id text NOT NULL DEFAULT '',
    model_id text NOT NULL DEFAULT '',
    model_reference text NOT NULL DEFAULT '',
    training_id text NOT NULL DEFAULT '',
    preprocess_config jsonb NOT NULL DEFAULT '{}',
    postprocess_config jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
    predictions jsonb,
    error text,
    inference_time double precision,
    next_page integer,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text
);

CREATE INDEX prediction_by_model ON prediction (organization_id, model_id, created_time, id);
CREATE INDEX prediction_by_time ON prediction (organization_id, created_time, id);
CREATE INDEX prediction_of_document ON prediction (organization_id, document_id, created_time, id);


-- Workflows

CREATE TABLE transition (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    name text,
    description text,
    transition_type text NOT NULL DEFAULT '' CHECK (transition_type IN ('docker', 'manual', 'lambda')),
    parameters jsonb NOT NULL DEFAULT '{}',
    timeout_in_seconds integer NOT NULL DEFAULT 0,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX transition_by_time ON transition (organization_id, created_time, id);

CREATE TABLE workflow (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    name text,
    description text,
    metadata jsonb,
    definition jsonb NOT NULL DEFAULT '{}',
    completed_config jsonb,
    error_config jsonb,
    email_config jsonb,
    status text NOT NULL DEFAULT 'development' CHECK (status IN ('development', 'production')),
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX workflow_by_time ON workflow (organization_id, created_time, id);

CREATE TABLE workflow_execution (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    workflow_id text NOT NULL DEFAULT '' REFERENCES workflow (id) ON DELETE CASCADE,
    input jsonb NOT NULL DEFAULT '{}',
    output jsonb,
    state text,
    status text NOT NULL DEFAULT 'running'
        CHECK (status IN ('running', 'succeeded', 'failed', 'rejected', 'retry', 'error', 'completed')),
    events jsonb NOT NULL DEFAULT '[]',
    completed_by jsonb NOT NULL DEFAULT '[]',
    log_id text,
    completed_task_log_id text,
    created_by text,
    start_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    end_time timestamptz
);

CREATE INDEX workflow_execution_by_end
    ON workflow_execution (organization_id, workflow_id, end_time, id);
CREATE INDEX workflow_execution_by_start
    ON workflow_execution (organization_id, workflow_id, start_time, id);
CREATE INDEX workflow_execution_running ON workflow_execution (workflow_id) WHERE status = 'running';

CREATE TABLE transition_execution (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    transition_id text NOT NULL DEFAULT '' REFERENCES transition (id) ON DELETE CASCADE,
    workflow_execution_id text REFERENCES workflow_execution (id) ON DELETE CASCADE,
    state text,
    attempt integer NOT NULL DEFAULT 1,
    input jsonb NOT NULL DEFAULT '{}',
    output jsonb,
    error jsonb,
    status text NOT NULL DEFAULT 'running'
        CHECK (status IN ('running', 'succeeded', 'failed', 'rejected', 'retry')),
    claimed_by text,
    claimed_time timestamptz,
    completed_by text,
    log_id text,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    start_time timestamptz,
    heartbeat_time timestamptz,
    expires timestamptz,
    end_time timestamptz
);

CREATE INDEX transition_execution_by_end
    ON transition_execution (organization_id, transition_id, end_time, id);
CREATE INDEX transition_execution_by_start
    ON transition_execution (organization_id, transition_id, start_time, id);
CREATE INDEX transition_execution_expiring ON transition_execution (expires) WHERE status = 'running';
CREATE INDEX transition_execution_of_workflow ON transition_execution (workflow_execution_id);
CREATE INDEX transition_execution_waiting
    ON transition_execution (organization_id, transition_id, created_time, id) WHERE status = 'running';

CREATE TABLE log (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    workflow_id text,
    workflow_execution_id text,
    transition_id text,
    transition_execution_id text,
    start_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX log_by_start ON log (organization_id, start_time, id);
CREATE INDEX log_by_transition ON log (organization_id, transition_id, start_time, id);
CREATE INDEX log_by_transition_execution ON log (transition_execution_id);
CREATE INDEX log_by_workflow ON log (organization_id, workflow_id, start_time, id);
CREATE INDEX log_by_workflow_execution ON log (workflow_execution_id);

CREATE TABLE log_event (
    id bigserial PRIMARY KEY,
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    log_id text NOT NULL DEFAULT '' REFERENCES log (id) ON DELETE CASCADE,
    time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    message text NOT NULL DEFAULT ''
);

CREATE INDEX log_event_of_log ON log_event (log_id, id);


-- Assets and secrets

CREATE TABLE asset (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    name text,
    description text,
    content_key text NOT NULL DEFAULT '',
    content_md5 text NOT NULL DEFAULT '',
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX asset_by_time ON asset (organization_id, created_time, id);

CREATE TABLE secret (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    name text,
    description text,
    key_id text NOT NULL DEFAULT '',
    nonce bytea NOT NULL DEFAULT '\x',
    ciphertext bytea NOT NULL DEFAULT '\x',
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX secret_by_time ON secret (organization_id, created_time, id);


-- Mail and webhooks

-- At most one row.
CREATE TABLE mail_service (
    id integer PRIMARY KEY DEFAULT 0 CHECK (id = 1),
    available boolean NOT NULL DEFAULT false,
    updated_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE webhook (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    name text,
    description text,
    url text NOT NULL DEFAULT '',
    event_types jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'enabled' CHECK (status IN ('enabled', 'disabled')),
    key_id text NOT NULL DEFAULT '',
    nonce bytea NOT NULL DEFAULT '\x',
    ciphertext bytea NOT NULL DEFAULT '\x',
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_time timestamptz,
    updated_by text
);

CREATE INDEX webhook_by_time ON webhook (organization_id, created_time, id);
CREATE INDEX webhook_enabled ON webhook (organization_id) WHERE status = 'enabled';

CREATE TABLE webhook_delivery (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    webhook_id text NOT NULL DEFAULT '' REFERENCES webhook (id) ON DELETE CASCADE,
    event_type text NOT NULL DEFAULT '',
    body text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX webhook_delivery_by_time ON webhook_delivery (organization_id, created_time);
CREATE INDEX webhook_delivery_of_webhook ON webhook_delivery (webhook_id, status);

CREATE TABLE webhook_attempt (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    webhook_id text NOT NULL DEFAULT '' REFERENCES webhook (id) ON DELETE CASCADE,
    delivery_id text NOT NULL DEFAULT '' REFERENCES webhook_delivery (id) ON DELETE CASCADE,
    job_id text NOT NULL DEFAULT '',
    status_code integer,
    error text,
    next_attempt_time timestamptz,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX webhook_attempt_by_time ON webhook_attempt (organization_id, webhook_id, created_time, id);
CREATE INDEX webhook_attempt_of_delivery ON webhook_attempt (delivery_id);
CREATE INDEX webhook_attempt_of_webhook ON webhook_attempt (webhook_id);

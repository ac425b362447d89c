-- Keys that sign access tokens. A key without ``retire_time`` is the newest; it signs once it has been published
-- for a while. A retired one is accepted until ``delete_time``, when the last token that it signed has expired.
CREATE TABLE signing_key (
    kid text PRIMARY KEY DEFAULT '',
    public_key jsonb NOT NULL DEFAULT '{}',
    key_id text NOT NULL DEFAULT '',
    nonce bytea NOT NULL DEFAULT '\x',
    ciphertext bytea NOT NULL DEFAULT '\x',
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    retire_time timestamptz,
    delete_time timestamptz
);

-- Of two processes that make a key at the same time, one does.
CREATE UNIQUE INDEX signing_key_newest ON signing_key ((retire_time IS NULL)) WHERE retire_time IS NULL;

-- A token carries the epoch in which it was issued. Tokens of the epoch before are accepted while the former
-- secret is; those of all earlier ones never.
ALTER TABLE app_client
    ADD COLUMN token_epoch integer NOT NULL DEFAULT 0,
    ADD COLUMN previous_secret_hash text,
    ADD COLUMN previous_secret_expires_time timestamptz;

ALTER TABLE profile ADD COLUMN email_verified_time timestamptz;

CREATE TABLE password (
    profile_id text PRIMARY KEY DEFAULT '' REFERENCES profile (id) ON DELETE CASCADE,
    hash text NOT NULL DEFAULT '',
    changed_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- Accounts at OpenID providers.
CREATE TABLE identity (
    issuer text NOT NULL DEFAULT '',
    subject text NOT NULL DEFAULT '',
    profile_id text NOT NULL DEFAULT '' REFERENCES profile (id) ON DELETE CASCADE,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (issuer, subject)
);

CREATE INDEX identity_of_profile ON identity (profile_id);

-- Browsers in which a person has signed in. The cookie is random; only its hash is stored.
CREATE TABLE sign_in_session (
    id_hash text PRIMARY KEY DEFAULT '',
    profile_id text NOT NULL DEFAULT '' REFERENCES profile (id) ON DELETE CASCADE,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    seen_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    ended_time timestamptz,
    address text,
    user_agent text
);

CREATE INDEX sign_in_session_of_profile ON sign_in_session (profile_id, created_time);

-- Authorization codes. One that was used stays until it expires: a second use ends ``grant_id``.
CREATE TABLE authorization_code (
    code_hash text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    app_client_id text NOT NULL DEFAULT '' REFERENCES app_client (id) ON DELETE CASCADE,
    user_id text NOT NULL DEFAULT '' REFERENCES organization_user (id) ON DELETE CASCADE,
    session_id_hash text,
    redirect_uri text NOT NULL DEFAULT '',
    code_challenge text NOT NULL DEFAULT '',
    scope text,
    nonce text,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    used_time timestamptz,
    grant_id text
);

CREATE INDEX authorization_code_of_user ON authorization_code (organization_id, user_id);
CREATE INDEX authorization_code_of_app_client ON authorization_code (app_client_id);

-- What a user has granted an app client by signing in. Access tokens name it: they end with it.
CREATE TABLE token_grant (
    id text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    user_id text NOT NULL DEFAULT '' REFERENCES organization_user (id) ON DELETE CASCADE,
    app_client_id text NOT NULL DEFAULT '' REFERENCES app_client (id) ON DELETE CASCADE,
    session_id_hash text,
    scope text,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    ended_time timestamptz,
    reason text
);

CREATE INDEX token_grant_of_user ON token_grant (organization_id, user_id);
CREATE INDEX token_grant_of_app_client ON token_grant (app_client_id);
CREATE INDEX token_grant_of_session ON token_grant (session_id_hash);

-- Each refresh token is the successor of the one before. One that was used is known for as long as its grant,
-- so that its reuse is noticed.
CREATE TABLE refresh_token (
    token_hash text PRIMARY KEY DEFAULT '',
    organization_id text NOT NULL DEFAULT '' REFERENCES organization (id),
    grant_id text NOT NULL DEFAULT '' REFERENCES token_grant (id) ON DELETE CASCADE,
    generation integer NOT NULL DEFAULT 0,
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    used_time timestamptz
);

CREATE INDEX refresh_token_of_grant ON refresh_token (grant_id);

-- Codes that are mailed: of account recovery, of the check of an address, of invitations.
CREATE TABLE one_time_code (
    id text PRIMARY KEY DEFAULT '',
    purpose text NOT NULL DEFAULT '' CHECK (purpose IN ('recover', 'verify', 'invite')),
    profile_id text REFERENCES profile (id) ON DELETE CASCADE,
    email text NOT NULL DEFAULT '',
    user_id text REFERENCES organization_user (id) ON DELETE CASCADE,
    code_hash text NOT NULL DEFAULT '',
    created_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    attempts integer NOT NULL DEFAULT 0,
    used_time timestamptz
);

CREATE INDEX one_time_code_by_email ON one_time_code (email, purpose, created_time);
CREATE INDEX one_time_code_of_profile ON one_time_code (profile_id);
CREATE INDEX one_time_code_of_user ON one_time_code (user_id);

-- Who did what to which resource from where. No organization: before it is known whose account it is about.
CREATE TABLE audit_event (
    id text PRIMARY KEY DEFAULT '',
    organization_id text REFERENCES organization (id),
    time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    principal_id text,
    profile_id text,
    action text NOT NULL DEFAULT '',
    resource_id text,
    outcome text NOT NULL DEFAULT '',
    address text,
    request_id text,
    details jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX audit_event_by_time ON audit_event (organization_id, time, id);

-- Events are only added. Retention deletes old ones, in a transaction that says so.
CREATE FUNCTION keep_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('pagemill.audit_retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit events are neither changed nor deleted' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_event_is_kept BEFORE UPDATE OR DELETE ON audit_event
    FOR EACH ROW EXECUTE FUNCTION keep_audit_event();

"""Tables of what people sign in with, of their tokens, and of what is recorded about them."""

from __future__ import annotations

from piccolo.columns import JSONB, Bytea, Integer, OnDelete, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from db.tables.foreign_key import foreign_key
from db.tables.organizations import AppClient, Organization, OrganizationUser, Profile


class SigningKey(Table, tablename="signing_key"):
    """A key that signs access tokens; the private one is sealed."""

    kid = Text(primary_key=True)
    public_key = JSONB(default="{}", help_text="JWK")
    key_id = Text(help_text="the key that the private key is sealed with")
    nonce = Bytea()
    ciphertext = Bytea()
    created_time = Timestamptz(default=TimestamptzNow())
    retire_time = Timestamptz(null=True, default=None, help_text="from when on its successor signs")
    delete_time = Timestamptz(null=True, default=None, help_text="until when its tokens are accepted")


class Password(Table, tablename="password"):
    """The argon2id hash of a person's password."""

    profile_id = foreign_key(Profile, primary_key=True, on_delete=OnDelete.cascade)
    hash = Text()
    changed_time = Timestamptz(default=TimestamptzNow())


class Identity(Table, tablename="identity"):
    """A person's account at an OpenID provider."""

    issuer = Text(primary_key=True)
    subject = Text(primary_key=True)
    profile_id = foreign_key(Profile, on_delete=OnDelete.cascade)
    created_time = Timestamptz(default=TimestamptzNow())


class SignInSession(Table, tablename="sign_in_session"):
    """A browser in which a person has signed in."""

    id_hash = Text(primary_key=True, help_text="sha256 of the (random) cookie, hex")
    profile_id = foreign_key(Profile, on_delete=OnDelete.cascade)
    created_time = Timestamptz(default=TimestamptzNow())
    seen_time = Timestamptz(default=TimestamptzNow())
    expires_time = Timestamptz(default=TimestamptzNow())
    ended_time = Timestamptz(null=True, default=None)
    address = Text(null=True, default=None)
    user_agent = Text(null=True, default=None)


class AuthorizationCode(Table, tablename="authorization_code"):
    """An authorization code, which an app client exchanges for tokens once."""

    code_hash = Text(primary_key=True, help_text="sha256 of the (random) code, hex")
    organization_id = foreign_key(Organization)
    app_client_id = foreign_key(AppClient, on_delete=OnDelete.cascade)
    user_id = foreign_key(OrganizationUser, on_delete=OnDelete.cascade)
    session_id_hash = Text(null=True, default=None)
    redirect_uri = Text()
    code_challenge = Text(help_text="S256")
    scope = Text(null=True, default=None)
    nonce = Text(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    expires_time = Timestamptz(default=TimestamptzNow())
    used_time = Timestamptz(null=True, default=None)
    grant_id = Text(null=True, default=None, help_text="what it was exchanged for")


class TokenGrant(Table, tablename="token_grant"):
    """Grant of a user to an app client, made by signing in; tokens of users name it."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    user_id = foreign_key(OrganizationUser, on_delete=OnDelete.cascade)
    app_client_id = foreign_key(AppClient, on_delete=OnDelete.cascade)
    session_id_hash = Text(null=True, default=None)
    scope = Text(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    expires_time = Timestamptz(default=TimestamptzNow(), help_text="of its refresh tokens")
    ended_time = Timestamptz(null=True, default=None)
    reason = Text(null=True, default=None, help_text="why it was ended")


class RefreshToken(Table, tablename="refresh_token"):
    """A refresh token of a grant; each is the successor of the one before."""

    token_hash = Text(primary_key=True, help_text="sha256 of the (random) token, hex")
    organization_id = foreign_key(Organization)
    grant_id = foreign_key(TokenGrant, on_delete=OnDelete.cascade)
    generation = Integer(help_text="how many came before it")
    created_time = Timestamptz(default=TimestamptzNow())
    expires_time = Timestamptz(default=TimestamptzNow())
    used_time = Timestamptz(null=True, default=None)


class OneTimeCode(Table, tablename="one_time_code"):
    """A code that was mailed: of account recovery, of the check of an address, or of an invitation."""

    id = Text(primary_key=True)
    purpose = Text(help_text="recover, verify, invite")
    profile_id = foreign_key(Profile, null=True, on_delete=OnDelete.cascade)
    email = Text()
    user_id = foreign_key(OrganizationUser, null=True, on_delete=OnDelete.cascade)
    code_hash = Text()
    created_time = Timestamptz(default=TimestamptzNow())
    expires_time = Timestamptz(default=TimestamptzNow())
    attempts = Integer()
    used_time = Timestamptz(null=True, default=None)


class AuditEvent(Table, tablename="audit_event"):
    """Event of the audit: a principal, an action, a resource and an address. Rows are only added."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization, null=True)
    time = Timestamptz(default=TimestamptzNow())
    principal_id = Text(null=True, default=None)
    profile_id = Text(null=True, default=None)
    action = Text()
    resource_id = Text(null=True, default=None)
    outcome = Text()
    address = Text(null=True, default=None)
    request_id = Text(null=True, default=None)
    details = JSONB(default="{}")

"""Tables of organizations and of the persons and programs that act in them."""

from __future__ import annotations

from piccolo.columns import JSONB, Boolean, Bytea, DoublePrecision, Integer, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Unique
from piccolo.table import Table

from db.tables.foreign_key import foreign_key


class Plan(Table, tablename="plan"):
    """One version of a plan. ``definition`` holds the API's sub-objects, ``allowed`` the limits."""

    id = Text(primary_key=True, help_text="las:plan:<slug>:<version>")
    slug = Text(help_text="las:plan:<slug>")
    version = Integer()
    organization_id = Text(null=True, default=None, help_text="owner; null: everybody's")
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    available = Boolean(default=True)
    currency = Text(default="EUR")
    limited_by = Text(default="pages", help_text="pages or fields: what limits predictions")
    definition = JSONB(default="{}")
    allowed = JSONB(default="{}")
    created_time = Timestamptz(default=TimestamptzNow())
    unique_slug_version = Unique([slug, version])


class Organization(Table, tablename="organization"):
    """An organization: the owner of everything that has an ``organization_id``."""

    id = Text(primary_key=True, help_text="las:organization:<slug>")
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    plan_id = Text(null=True, default=None)
    payment_method_id = Text(null=True, default=None)
    document_retention_in_days = Integer(default=1825)
    created_time = Timestamptz(default=TimestamptzNow())
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Role(Table, tablename="role"):
    """A role of the API. Roles are seeded and are the same for all organizations."""

    id = Text(primary_key=True, help_text="las:role:<slug>")
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    permissions = JSONB(default="[]")
    created_time = Timestamptz(default=TimestamptzNow())


class AppClient(Table, tablename="app_client"):
    """Credentials with which a program calls the API for an organization."""

    id = Text(primary_key=True, help_text="las:app-client:<slug>")
    organization_id = foreign_key(Organization)
    client_id = Text(unique=True)
    secret_hash = Text(null=True, default=None, help_text="sha256 of the (random) secret, hex; null: public")
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    configuration = JSONB(default="{}", help_text="callbackUrls, logoutUrls, loginUrls, defaultLoginUrl")
    role_ids = JSONB(default="[]")
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)
    token_epoch = Integer(help_text="tokens carry it; a new secret raises it")
    previous_secret_hash = Text(null=True, default=None)
    previous_secret_expires_time = Timestamptz(null=True, default=None)


class Profile(Table, tablename="profile"):
    """A person, who may be a user of several organizations."""

    id = Text(primary_key=True)
    email = Text(unique=True)
    given_name = Text(null=True, default=None)
    family_name = Text(null=True, default=None)
    name = Text(null=True, default=None)
    picture = Text(null=True, default=None)
    locale = Text(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    number_of_organizations_allowed = Integer(default=1)
    number_of_organizations_created = Integer(default=0)
    created_time = Timestamptz(default=TimestamptzNow())
    updated_time = Timestamptz(null=True, default=None)
    email_verified_time = Timestamptz(null=True, default=None)


class OrganizationUser(Table, tablename="organization_user"):
    """A user of the API: the membership of a person in one organization, from the invitation on."""

    id = Text(primary_key=True, help_text="las:user:<hex>")
    organization_id = foreign_key(Organization)
    email = Text()
    profile_id = foreign_key(Profile, null=True, help_text="null until the first sign-in")
    app_client_id = Text(null=True, default=None, help_text="the invitation leads to its defaultLoginUrl")
    status = Text(default="invite_pending", help_text="inactive, active, invite_pending")
    invitation_expires = Timestamptz(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    role_ids = JSONB(default="[]")
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)
    unique_organization_email = Unique([organization_id, email])


class IdempotencyKey(Table, tablename="idempotency_key"):
    """The answer to a POST with an ``Idempotency-Key``; ``status_code`` is null while it is worked on."""

    organization_id = foreign_key(Organization, primary_key=True)
    principal_id = Text(primary_key=True)
    key = Text(primary_key=True)
    fingerprint = Text(help_text="sha256 of method, path and body, hex")
    status_code = Integer(null=True, default=None)
    body = Bytea(null=True, default=None)
    named = JSONB(default="[]", help_text="ids of documents and predictions in the answer")
    created_time = Timestamptz(default=TimestamptzNow())


class RequestAllowance(Table, tablename="request_allowance"):
    """The token bucket of an organization's requests."""

    organization_id = Text(primary_key=True)
    tokens = DoublePrecision(default=0.0)
    granted = Integer(default=0, help_text="how many tokens the last taker got")
    refilled_time = Timestamptz(default=TimestamptzNow())

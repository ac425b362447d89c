"""Tables of assets and secrets."""

from __future__ import annotations

from piccolo.columns import Bytea, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from db.tables.foreign_key import foreign_key
from db.tables.organizations import Organization


class Asset(Table, tablename="asset"):
    """A file. ``content_key`` names the object with its bytes; each change writes a new one."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    content_key = Text()
    content_md5 = Text()
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Secret(Table, tablename="secret"):
    """Encrypted data. ``key_id`` names the key, which the database does not hold."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    key_id = Text()
    nonce = Bytea()
    ciphertext = Bytea()
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)

"""Tables of datasets and their documents."""

from __future__ import annotations

from piccolo.columns import JSONB, BigInt, Boolean, Integer, OnDelete, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from db.tables.foreign_key import foreign_key
from db.tables.organizations import Organization


class Dataset(Table, tablename="dataset"):
    """A collection of documents."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    retention_in_days = Integer(default=1825)
    contains_pii = Boolean(default=True)
    number_of_documents = Integer(default=0)
    ground_truth_summary = JSONB(default="{}")
    version = Integer(default=0)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)
    shared = Boolean(default=False, help_text="other organizations see it and learn from it")


class Document(Table, tablename="document"):
    """A document. ``content_key`` names the object with its bytes; each upload writes a new one."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    dataset_id = foreign_key(Dataset, null=True)
    consent_id = Text(null=True, default=None)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    ground_truth = JSONB(default="[]")
    retention_in_days = Integer(default=1825)
    content_key = Text(null=True, default=None)
    content_type = Text(null=True, default=None)
    content_md5 = Text(null=True, default=None)
    content_size = BigInt(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Transformation(Table, tablename="transformation"):
    """A change of a dataset, made by a job."""

    id = Text(primary_key=True, help_text="las:dataset-transformation:<hex>")
    organization_id = foreign_key(Organization)
    dataset_id = foreign_key(Dataset, on_delete=OnDelete.cascade)
    operations = JSONB(default="[]")
    status = Text(default="running", help_text="running, succeeded, failed")
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class ErasedResource(Table, tablename="erased_resource"):
    """A document or prediction that is gone, while its values are looked for wherever they were copied to."""

    organization_id = foreign_key(Organization, primary_key=True)
    id = Text(primary_key=True)
    consent_id = Text(null=True, default=None, help_text="of a document")
    existed_from = Timestamptz(null=True, default=None, help_text="null: not known")
    erased_time = Timestamptz(default=TimestamptzNow())
    objects_erased = Boolean(default=False, help_text="nothing of it is in object storage")

"""Tables of models, their trainings and predictions."""

from __future__ import annotations

from piccolo.columns import JSON, JSONB, Boolean, DoublePrecision, Integer, OnDelete, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from db.tables.foreign_key import foreign_key
from db.tables.organizations import Organization


class Model(Table, tablename="model"):
    """A model: the fields that it extracts and the training that predicts them."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    metadata = JSONB(default="{}")
    field_config = JSON(default="{}", help_text="JSON, not JSONB: the order of its fields is kept")
    preprocess_config = JSONB(default="{}")
    postprocess_config = JSONB(default="{}")
    training_id = Text(null=True, default=None)
    shared = Boolean(default=False, help_text="other organizations see it and predict with it")
    version = Integer(default=0)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class DataBundle(Table, tablename="data_bundle"):
    """A snapshot of datasets. ``object_key`` names the words and labels to learn from."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    model_id = foreign_key(Model, on_delete=OnDelete.cascade)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    datasets = JSONB(default="[]")
    summary = JSONB(null=True, default=None)
    status = Text(default="running", help_text="running, succeeded, failed")
    object_key = Text(null=True, default=None)
    retention_in_days = Integer(default=1825)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)
    documents = Integer(null=True, default=None)
    documents_read = Integer(null=True, default=None)
    owner_ids = JSONB(default="[]", help_text="other organizations whose shared datasets are in it")


class DeploymentEnvironment(Table, tablename="deployment_environment"):
    """An environment that trainings are deployed to, defined by the operator."""

    id = Text(primary_key=True, help_text="las:deployment-environment:<slug>")
    organization_id = Text(null=True, default=None)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    model_deployment_units = Integer(default=0)
    status = Text(default="available", help_text="available, unavailable")
    created_time = Timestamptz(default=TimestamptzNow())


class Training(Table, tablename="training"):
    """A training of a model. ``artefact_key`` is the prefix of its weights and configuration."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    model_id = foreign_key(Model, on_delete=OnDelete.cascade)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    data_bundle_ids = JSONB(default="[]")
    warm_start_config = JSONB(null=True, default=None)
    instance_type = Text(default="small-gpu")
    data_scientist_assistance = Boolean(default=False)
    deployment_environment_id = Text(null=True, default=None)
    status = Text(default="pending", help_text="the API's training states")
    evaluation = JSONB(default="{}")
    gpu_hours = DoublePrecision(null=True, default=None)
    artefact_key = Text(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)
    progress = JSONB(null=True, default=None, help_text="step, steps, loss, F1 and seconds left")
    curve = JSONB(null=True, default=None, help_text="[seconds, step, loss, F1] of each epoch")
    error = Text(null=True, default=None, help_text="why it has failed")


class Prediction(Table, tablename="prediction"):
    """A prediction for one document. ``model_reference`` is the modelId as the caller gave it."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    document_id = Text()
    model_id = Text()
    model_reference = Text()
    training_id = Text()
    preprocess_config = JSONB(default="{}")
    postprocess_config = JSONB(default="{}")
    status = Text(default="pending", help_text="pending, succeeded, failed")
    predictions = JSONB(null=True, default=None)
    error = Text(null=True, default=None)
    inference_time = DoublePrecision(null=True, default=None)
    next_page = Integer(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)

"""The stack that is hurt, on a Postgres and an object storage of the tests' own, and what is put into it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from db.models import share_model
from db.pool import create_pool
from examples.local_stack import LocalStack, local_stack
from pagemill.api.auth.tokens import Caller
from pagemill.applications.training_artefacts import TrainingKeys, save_artefact
from pagemill.extraction.artefact import Artefact
from pagemill.ids import DatasetId, ModelId, TrainingId, new_id
from pagemill.objects import ObjectStore, open_objects
from pagemill.settings import Settings, load_settings
from pagemill.stack.postgres import EmbeddedPostgres
from tests.chaos.plan import Operation
from tests.chaos.storage import Storage
from tests.support.labelled import PREPROCESS_CONFIG, store_document
from tests.support.tenants import Tenant, create_tenant
from tests.support.tokens import former_token
from tests.unit.extraction.documents import text_pdf
from tests.unit.extraction.printed import INVOICES

TOKEN_KEY = secrets.token_urlsafe(48)
SEEDING_CONCURRENCY = 8
WITNESSES = """
CREATE TABLE chaos_end (job_id text NOT NULL, state text NOT NULL);
CREATE FUNCTION chaos_note_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_end VALUES (NEW.id, NEW.state);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_ended AFTER UPDATE OF state ON job FOR EACH ROW
WHEN (NEW.state IN ('succeeded', 'failed', 'cancelled') AND OLD.state IS DISTINCT FROM NEW.state)
EXECUTE FUNCTION chaos_note_end();

CREATE TABLE chaos_highest (
    organization_id text, month text, meter text, used numeric, PRIMARY KEY (organization_id, month, meter)
);
CREATE FUNCTION chaos_note_highest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_highest AS highest VALUES (NEW.organization_id, NEW.month, NEW.meter, NEW.used)
    ON CONFLICT (organization_id, month, meter) DO UPDATE SET used = greatest(highest.used, excluded.used);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_counted AFTER INSERT OR UPDATE ON usage_counter FOR EACH ROW
EXECUTE FUNCTION chaos_note_highest();
"""
"""Postgres itself takes down what a look at the end would not show."""


@dataclass(frozen=True, slots=True)
class World:
    """What a fault may be done to. ``long`` is for hours that nobody waits for."""

    stack: LocalStack
    postgres: EmbeddedPostgres
    storage: Storage
    settings: Settings
    model: str
    """``organization/model`` that everybody may predict with."""
    long: bool


@dataclass(frozen=True, slots=True)
class Member:
    """An organization that does things in a run."""

    tenant: Tenant
    token: str
    model_id: str
    """Its own model, which data bundles are made for."""

    @property
    def id(self) -> str:
        return self.tenant.organization_id


@contextmanager
def running_world(
    directory: Path, storage: Storage, artefact: Artefact, settings: Mapping[str, str], *, long: bool
) -> Iterator[World]:
    """A stack with a model in it that can predict."""
    postgres = EmbeddedPostgres(directory / "postgres")
    postgres.start()
    given = {
        "PAGEMILL_DATABASE_URL": postgres.url(),
        "PAGEMILL_TOKEN_KEY": TOKEN_KEY,
        **storage.settings(),
        **settings,
    }
    try:
        with local_stack(directory / "data", settings=given) as stack:
            used = load_settings(given)
            model = asyncio.run(_prepare(used, artefact))
            yield World(stack, postgres, storage, used, model, long)
    finally:
        postgres.stop()


async def _prepare(settings: Settings, artefact: Artefact) -> str:
    pool, objects = await create_pool(settings.database_url, size=2), open_objects(settings)
    try:
        await pool.execute(WITNESSES)
        async with pool.acquire() as connection:
            organization_id = (await create_tenant(connection)).organization_id
        model_id = await _store_model(pool, organization_id)
        training_id = new_id(TrainingId)
        prefix = TrainingKeys.of(organization_id, training_id).artefact
        await save_artefact(objects, prefix, artefact)
        await pool.execute(
            "INSERT INTO training (organization_id, id, model_id, status, artefact_key) "
            "VALUES ($1, $2, $3, 'succeeded', $4)",
            *(organization_id, training_id, model_id, prefix),
        )
        await pool.execute("UPDATE model SET training_id = $2 WHERE id = $1", model_id, training_id)
        async with pool.acquire() as connection:
            await share_model(connection, model_id=ModelId(model_id), shared=True)
        return f"{organization_id}/{model_id}"
    finally:
        await pool.close()
        await objects.close()


async def _store_model(pool: asyncpg.Pool, organization_id: str) -> str:
    model_id = new_id(ModelId)
    await pool.execute(
        "INSERT INTO model (organization_id, id, field_config, preprocess_config, postprocess_config) "
        "VALUES ($1, $2, $3, $4, $5)",
        *(organization_id, model_id, INVOICES, PREPROCESS_CONFIG, {"strategy": "BEST_FIRST"}),
    )
    return model_id


async def join(pool: asyncpg.Pool, settings: Settings, allowed: Mapping[str, float]) -> Member:
    """A new organization with a plan that allows so much."""
    async with pool.acquire() as connection:
        tenant = await create_tenant(connection, allowed=allowed)
    token = former_token(Caller(tenant.organization_id, tenant.app_client_id), settings)
    return Member(tenant, token, await _store_model(pool, tenant.organization_id))


async def prepare_operations(
    pool: asyncpg.Pool, objects: ObjectStore, members: Sequence[Member], wanted: Sequence[Operation]
) -> dict[int, str]:
    """What operations need: a document to predict or delete, a dataset to transform or bundle; by number."""
    gate = asyncio.Semaphore(SEEDING_CONCURRENCY)

    async def prepare(operation: Operation) -> str:
        organization_id = members[operation.organization].id
        async with gate:
            if operation.kind in ("transformation", "data-bundle"):
                return await _store_dataset(pool, objects, organization_id, operation)
            return await store_document(pool, objects, organization_id, text_pdf(operation.pages))

    needy = [one for one in wanted if one.kind != "document"]
    prepared = await asyncio.gather(*(prepare(one) for one in needy))
    return {one.number: subject for one, subject in zip(needy, prepared, strict=True)}


async def _store_dataset(
    pool: asyncpg.Pool, objects: ObjectStore, organization_id: str, operation: Operation
) -> str:
    """Two different documents to bundle; one and its copy to transform."""
    dataset_id = new_id(DatasetId)
    await pool.execute(
        "INSERT INTO dataset (organization_id, id, number_of_documents) VALUES ($1, $2, 2)",
        *(organization_id, dataset_id),
    )
    for pages in (1, 1) if operation.kind == "transformation" else (1, 2):
        # Bytes of a PDF change with the time it is made at: copies are copied.
        await store_document(pool, objects, organization_id, _document(pages), dataset_id=dataset_id)
    return dataset_id


_DOCUMENTS: dict[int, bytes] = {}


def _document(pages: int) -> bytes:
    return _DOCUMENTS.setdefault(pages, text_pdf(pages))

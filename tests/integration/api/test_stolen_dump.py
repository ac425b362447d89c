"""A stolen dump of the database, the objects and the logs contain nothing that opens a door."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.settings import Settings
from pagemill.stack.backup import without_password
from pagemill.stack.reachable import binaries
from pagemill.work import container_preparation
from tests.support.flows import create_transition, create_workflow, ok, start, task
from tests.support.front_door import (
    add_public_app,
    browser_session,
    code_for,
    new_pkce,
    refresh_of,
    sign_in,
)
from tests.support.mailed import set_mail
from tests.support.people import add_user
from tests.support.planted import files_with, forms_of, tables_with
from tests.support.tenants import Tenant

IN_A_SECRET = "plantedSecretValue5521"
REGISTRY_PASSWORD = "plantedRegistry8812"


def keyed(name: str) -> dict[str, str]:
    return {"Idempotency-Key": f"key of {name}"}


async def secrets_of_a_tenant(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, tenant: Tenant
) -> dict[str, str]:
    """Make one of everything that is secret through the API; return their plain values."""
    client = await ok(await api.post("/v1/appClients", json={"name": "x"}, headers=keyed("client")))
    token = await ok(
        await anonymous.post(
            "/token?grant_type=client_credentials", auth=(client["clientId"], client["clientSecret"])
        )
    )
    secret = {"data": {"password": IN_A_SECRET}, "name": "x"}
    held = await ok(await api.post("/v1/secrets", json=secret, headers=keyed("secret")))
    registry = {"data": {"username": "x", "password": REGISTRY_PASSWORD}}
    pulling = await ok(await api.post("/v1/secrets", json=registry, headers=keyed("registry")))
    hook = {"url": "https://example.com/hook", "eventTypes": ["prediction.succeeded"]}
    webhook = await ok(await api.post("/v1/webhooks", json=hook, headers=keyed("webhook")))
    transition_id = await create_transition(
        api,
        "docker",
        parameters={
            "imageUrl": "python",
            "environmentSecrets": [held["secretId"]],
            "secretId": pulling["secretId"],
        },
    )
    workflow_id = await create_workflow(api, {"Run": task(transition_id)})
    await start(api, workflow_id, {"a": 1})
    await ok(await api.post("/v1/users", json={"email": "new@example.com"}, headers=keyed("user")))
    return {
        "client secret": client["clientSecret"],
        "secret of the seeded client": tenant.client_secret,
        "access token": token["access_token"],
        "signature of the token": token["access_token"].rsplit(".", 1)[1],
        "data of a secret": IN_A_SECRET,
        "password of a registry": REGISTRY_PASSWORD,
        "key of a webhook": webhook["secret"].removeprefix("whsec_"),
        "key of a webhook, raw": base64.b64decode(webhook["secret"].removeprefix("whsec_")).hex(),
    }


async def secrets_of_a_person(
    anonymous: httpx.AsyncClient, pool: asyncpg.Pool, tenant: Tenant
) -> dict[str, str]:
    """Sign somebody in, and return what that browser holds, beside a code that was not exchanged."""
    async with pool.acquire() as connection:
        person = await add_user(connection, tenant.organization_id)
        app = await add_public_app(connection, tenant.organization_id)
        cookie = await browser_session(connection, person.profile_id)
    first = await sign_in(anonymous, app, cookie)
    second = (await anonymous.post("/oauth2/token", params=refresh_of(app, first["refresh_token"]))).json()
    return {
        "cookie of a session": cookie,
        "authorization code": await code_for(anonymous, app, new_pkce(), cookie),
        "refresh token": first["refresh_token"],
        "next refresh token": second["refresh_token"],
        "access token of a user": first["access_token"],
        "signature of a user's token": first["access_token"].rsplit(".", 1)[1],
    }


async def private_key(app: Litestar) -> str:
    """The secret number of the key that signs tokens."""
    keys = app.state.pagemill.tokens.keys
    return str((await keys.signing_key()).key.as_dict(private=True)["d"])


def keys_of_the_operator(settings: Settings) -> dict[str, str]:
    return {
        "token key": settings.token_key,
        "secret key": settings.secret_keys.partition(":")[2],
        "password of the database": without_password(settings.database_url)[1] or "",
    }


def dump(database_url: str) -> str:
    """What ``pg_dump`` writes, as text."""
    url, password = without_password(database_url)
    done = subprocess.run(
        [str(binaries() / "pg_dump"), f"--dbname={url}", "--inserts"],
        env=os.environ | {"PGPASSWORD": password or ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    # The tests' own client, which has them in its URLs.
    caplog.set_level(logging.WARNING, "httpx")
    return caplog


async def test_nothing_of_it_can_be_used(
    app: Litestar,
    api: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    settings: Settings,
    objects_directory: Path,
    log: pytest.LogCaptureFixture,
) -> None:
    await set_mail(pool)
    secrets = await secrets_of_a_tenant(api, anonymous, organization)
    secrets |= await secrets_of_a_person(anonymous, pool, organization)
    secrets |= {**keys_of_the_operator(settings), "key that signs tokens": await private_key(app)}
    assert all(len(value) >= 16 for value in secrets.values())
    written = await asyncio.to_thread(dump, settings.database_url)
    # The dump is whole: it has what was made, beside its secrets.
    for table in ("webhook", "signing_key", "refresh_token", "authorization_code", "sign_in_session"):
        assert f"INSERT INTO public.{table} " in written
    assert "https://example.com/hook" in written
    found = {
        name: [form for form in forms_of(value) if form in written or form in log.text]
        for name, value in secrets.items()
    }
    assert {name: forms for name, forms in found.items() if forms} == {}
    for name, value in secrets.items():
        assert await tables_with(pool, value) == {}, name
        assert files_with(objects_directory, value) == [], name


async def test_an_answer_with_a_secret_is_given_again_all_the_same(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    first = await api.post("/v1/appClients", json={"name": "x"}, headers=keyed("client"))
    again = await api.post("/v1/appClients", json={"name": "x"}, headers=keyed("client"))
    assert again.json()["clientSecret"] == first.json()["clientSecret"]
    assert await tables_with(pool, first.json()["clientSecret"]) == {}


async def test_the_secret_of_a_container_is_stored_as_its_hash(pool: asyncpg.Pool) -> None:
    columns = await pool.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'container_credential'"
    )
    assert {row["column_name"] for row in columns} & {"secret", "token", "password"} == set()
    assert "hash_secret" in vars(container_preparation)


@pytest.mark.parametrize(
    "planted",
    [
        lambda value: value,
        lambda value: value.encode().hex(),
        lambda value: base64.b64encode(b"x" + value.encode() + b"y").decode(),
        lambda value: base64.urlsafe_b64encode(b"xy" + value.encode()).decode(),
    ],
    ids=["plain", "hexadecimal", "base64", "base64 of URLs"],
)
async def test_what_is_planted_is_found(
    api: httpx.AsyncClient, pool: asyncpg.Pool, objects_directory: Path, planted: Any
) -> None:
    value = "plantedAnywhere77310"
    await ok(await api.post("/v1/documents", json={"name": f"<{planted(value)}>"}))
    assert await tables_with(pool, value) == {"document": 1}
    (objects_directory / "one").write_text(f"<{planted(value)}>")
    assert files_with(objects_directory, value) == ["one"]

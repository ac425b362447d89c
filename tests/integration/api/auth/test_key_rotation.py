"""Signing keys rotate while tokens are in use: nobody is signed out, and what is published verifies all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from click.testing import CliRunner, Result
from joserfc import jwt
from joserfc.jwk import KeySet
from litestar import Litestar

from db.signing_keys import list_signing_keys
from pagemill.api.app import create_app
from pagemill.api.auth import signing_keys
from pagemill.cli import main
from pagemill.housekeeping.signing_keys import PUBLISHED_SECONDS
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings
from tests.integration.api.conftest import client_of
from tests.support.front_door import token_of_client
from tests.support.tenants import Tenant


@pytest.fixture(autouse=True)
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes look for keys at each request, not each minute."""
    monkeypatch.setattr(signing_keys, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(signing_keys.SigningKeys.refresh, "__kwdefaults__", {"age": 0.0})


@contextlib.asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[tuple[Litestar, httpx.AsyncClient]]:
    """Another API process on the same database."""
    application = create_app(settings)
    async with application.lifespan(), client_of(application, settings, None) as http:
        yield application, http


async def command(settings: Settings, *arguments: str) -> Result:
    return await asyncio.to_thread(
        CliRunner().invoke,
        main,
        ["keys", *arguments],
        env={
            "PAGEMILL_DATABASE_URL": settings.database_url,
            "PAGEMILL_OBJECTS_URL": settings.objects_url,
            "PAGEMILL_SECRET_KEYS": settings.secret_keys,
        },
    )


async def token_for(http: httpx.AsyncClient, tenant: Tenant) -> str:
    return await token_of_client(http, tenant.client_id, tenant.client_secret)


async def published(http: httpx.AsyncClient) -> list[str]:
    """Ids of the published keys, which are public keys and verify tokens."""
    response = await http.get("/oauth2/jwks")
    assert int(response.headers["cache-control"].rpartition("=")[2]) < PUBLISHED_SECONDS
    keys = response.json()["keys"]
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
    return [key["kid"] for key in keys]


async def kid_of(http: httpx.AsyncClient, token: str) -> str:
    """The key of a token, which a stranger verifies by what is published."""
    keys: Any = (await http.get("/oauth2/jwks")).json()
    header: dict[str, Any] = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["ES256"]).header
    return str(header["kid"])


async def works(http: httpx.AsyncClient, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    return (await http.get("/v1/organizations/me", headers=headers)).status_code == 200


async def make_older(pool: asyncpg.Pool, seconds: float) -> None:
    await pool.execute(
        """
        UPDATE signing_key SET
            created_time = created_time - make_interval(secs => $1),
            retire_time = retire_time - make_interval(secs => $1),
            delete_time = delete_time - make_interval(secs => $1)
        """,
        seconds,
    )


async def test_a_key_is_published_before_it_signs_and_accepted_after_it(
    anonymous: httpx.AsyncClient, settings: Settings, organization: Tenant, pool: asyncpg.Pool
) -> None:
    tokens = [await token_for(anonymous, organization)]
    [first] = await published(anonymous)
    done = await command(settings, "rotate")
    assert (done.exit_code, done.output.split()[:4]) == (0, ["the", "new", "key", "is"])
    second = done.output.split()[-1]
    assert await published(anonymous) == [first, second]
    tokens.append(await token_for(anonymous, organization))
    await make_older(pool, PUBLISHED_SECONDS)
    tokens.append(await token_for(anonymous, organization))
    assert [await kid_of(anonymous, token) for token in tokens] == [first, first, second]
    assert all([await works(anonymous, token) for token in tokens])
    await make_older(pool, settings.token_lifetime)
    assert await published(anonymous) == [first, second], "its last token may be valid still"
    await make_older(pool, PUBLISHED_SECONDS)
    assert await published(anonymous) == [second]


async def test_the_api_rotates_by_itself_and_only_once(
    settings: Settings, organization: Tenant, pool: asyncpg.Pool
) -> None:
    async with process(settings) as (_, one), process(settings) as (_, other):
        answers = await asyncio.gather(*(token_for(http, organization) for http in (one, other)))
        assert len({await kid_of(one, token) for token in answers}) == 1
        await make_older(pool, settings.signing_key_lifetime)
        before = answers[0]
        answers = await asyncio.gather(*(token_for(http, organization) for http in (one, other, one, other)))
        assert len(await published(one)) == 2
        assert {await kid_of(other, token) for token in answers} == {await kid_of(one, before)}
        for http in (one, other):
            assert await works(http, before)


async def test_a_token_of_a_key_that_another_process_has_just_made_is_known(
    settings: Settings, organization: Tenant, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(settings) as (_, one), process(settings) as (_, other):
        assert await works(one, await token_for(one, organization))
        await command(settings, "rotate")
        await make_older(pool, PUBLISHED_SECONDS)
        token = await token_for(other, organization)
        # Now this process looks each minute, but an unknown key makes it look at once.
        monkeypatch.setattr(signing_keys.SigningKeys.refresh, "__kwdefaults__", {"age": 3600.0})
        monkeypatch.setattr(signing_keys, "UNKNOWN_SECONDS", 0.0)
        assert await works(one, token)


async def test_a_key_that_has_leaked_is_revoked(
    anonymous: httpx.AsyncClient, settings: Settings, organization: Tenant
) -> None:
    former = await token_for(anonymous, organization)
    assert await works(anonymous, former)
    done = await command(settings, "rotate", "--revoke")
    assert done.exit_code == 0
    assert await published(anonymous) == [done.output.split()[-1]]
    assert not await works(anonymous, former)
    assert await works(anonymous, await token_for(anonymous, organization))


async def test_exchanging_the_secret_key_signs_nobody_out(
    anonymous: httpx.AsyncClient, settings: Settings, organization: Tenant
) -> None:
    token = await token_for(anonymous, organization)
    exchanged = msgspec.structs.replace(settings, secret_keys=new_secret_key("exchanged"))
    async with process(exchanged) as (_, http):
        assert await works(http, token)
        newer = await token_for(http, organization)
        assert await kid_of(http, newer) != await kid_of(http, token)
        assert await works(anonymous, newer)


async def test_keys_are_listed(
    anonymous: httpx.AsyncClient, settings: Settings, organization: Tenant, pool: asyncpg.Pool
) -> None:
    await token_for(anonymous, organization)
    await command(settings, "rotate")
    done = await command(settings, "list")
    first, second = done.output.splitlines()
    assert "retired, accepted until" in first
    assert second.endswith("old")
    async with pool.acquire() as connection:
        rows = await list_signing_keys(connection)
    assert [first.split()[0], second.split()[0]] == [row.kid for row in rows]


async def test_private_keys_are_sealed(
    anonymous: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    await token_for(anonymous, organization)
    written = await pool.fetchval("SELECT row::text FROM signing_key AS row")
    assert '"x"' in written
    assert '"d"' not in written


async def test_discovery_names_the_keys(anonymous: httpx.AsyncClient, settings: Settings) -> None:
    documents = [
        (await anonymous.get(f"/.well-known/{name}")).json()
        for name in ("openid-configuration", "oauth-authorization-server")
    ]
    assert documents[0] == documents[1]
    assert documents[0]["issuer"] == settings.public_url
    assert documents[0]["jwks_uri"] == f"{settings.public_url}/oauth2/jwks"
    for name in ("authorization_endpoint", "token_endpoint"):
        assert documents[0][name].startswith(f"{settings.public_url}/oauth2/")

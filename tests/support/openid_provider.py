"""A real OpenID provider, run by the tests: ``oidc-provider`` of npm."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx
import msgspec
import pytest

from tests.support.browsing import forms_of
from tests.support.node import installed

SOURCE = Path(__file__).parents[1] / "sign_in"
CLIENT_ID, CLIENT_SECRET = "mill", "a secret / of: the client"
START_SECONDS = 60.0
MOST_STEPS = 12


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """A provider that runs."""

    issuer: str
    client_id: str
    client_secret: str


@asynccontextmanager
async def openid_provider(
    redirect_uri: str, *, claims_in_id_token: bool = False, auth_method: str = "client_secret_basic"
) -> AsyncIterator[OpenIdProvider]:
    """Run a provider. Skips the test where there is no Node, or nothing to install it from."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: no OpenID provider is run")
    modules = await asyncio.to_thread(installed, SOURCE)
    environment = {
        "MODULES": str(modules),
        "REDIRECT_URI": redirect_uri,
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "CLAIMS_IN_ID_TOKEN": "1" if claims_in_id_token else "",
        "AUTH_METHOD": auth_method,
    }
    process = await asyncio.create_subprocess_exec(
        node,
        str(SOURCE / "provider.mjs"),
        env=os.environ | environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # It warns at length that its development pages and keys are for tests.
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        line = await asyncio.wait_for(_first_json_line(process.stdout), START_SECONDS)
        port = msgspec.json.decode(line)["port"]
        yield OpenIdProvider(f"http://localhost:{port}", CLIENT_ID, CLIENT_SECRET)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), START_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _first_json_line(output: asyncio.StreamReader) -> bytes:
    while line := await output.readline():
        if line.startswith(b"{"):
            return line
    raise AssertionError("the provider has not started")


async def sign_in_at(url: str, name: str, *, stop_at: str) -> str:
    """Sign in on the provider's own pages as somebody, and return the URL that it then leads back to."""
    async with httpx.AsyncClient() as client:
        response = await client.get(url)
        for _ in range(MOST_STEPS):
            if response.has_redirect_location:
                location = urljoin(str(response.url), response.headers["location"])
                if location.startswith(stop_at):
                    return location
                response = await client.get(location)
                continue
            assert response.status_code == 200, response.text
            form = forms_of(response.text)[0]
            fields = {**form.fields, **{key: name for key in form.fields if key in ("login", "password")}}
            response = await client.post(urljoin(str(response.url), form.action), data=fields)
    raise AssertionError("the provider never leads back")

"""A real OpenID provider, run by the tests: ``oidc-provider`` of npm."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urljoin

import httpx
import msgspec
import pytest

from tests.support.browsing import forms_of
from tests.support.node import installed

SOURCE = Path(__file__).parents[1] / "sign_in"
CLIENT_ID, CLIENT_SECRET = "mill", "a secret / of: the client"
OLDEST_NODE = 20
END_SECONDS = 60.0
MOST_STEPS = 12


@contextlib.contextmanager
def openid_providers(redirect_uri: str) -> Iterator[Mapping[str, str]]:
    """Run two providers in one process; yields their issuers by where they tell addresses: ``userinfo`` and
    ``id_token``. Skips the test where there is no Node that can, or nothing to install them from.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: no OpenID provider is run")
    if _major_version(node) < OLDEST_NODE:
        pytest.skip(f"node is older than {OLDEST_NODE}: the OpenID provider needs a newer one")
    environment = {
        "MODULES": str(installed(SOURCE)),
        "REDIRECT_URI": redirect_uri,
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
    }
    with subprocess.Popen(
        [node, str(SOURCE / "provider.mjs")],
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # It warns at length that its development pages and keys are for tests.
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        line = next((line for line in process.stdout if line.startswith(b"{")), None)
        assert line is not None, "the providers have not started"
        yield {kind: f"http://localhost:{port}" for kind, port in msgspec.json.decode(line).items()}
        process.stdin.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _major_version(node: str) -> int:
    """The first number of a version like ``v20.1.0``."""
    said = subprocess.check_output([node, "--version"], text=True, timeout=END_SECONDS)
    return int(said.strip().removeprefix("v").partition(".")[0])


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

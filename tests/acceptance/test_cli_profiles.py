"""``las -p PROFILE``: credentials from a file; in a process of its own, for it looks for its home early."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from examples.local_stack import LocalStack


def test_credentials_from_a_file_and_a_token_from_a_cache(stack: LocalStack, tmp_path: Path) -> None:
    settings = stack.environment
    directory = tmp_path / ".lucidtech"
    directory.mkdir()
    (directory / "credentials.cfg").write_text(
        "[ours]\n"
        f"client_id = {settings['LAS_CLIENT_ID']}\n"
        f"client_secret = {settings['LAS_CLIENT_SECRET']}\n"
        f"auth_endpoint = {settings['LAS_AUTH_ENDPOINT']}\n"
        f"api_endpoint = {settings['LAS_API_ENDPOINT']}\n"
        "use_cache = true\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAS_")}
    command = [str(Path(sys.executable).parent / "las"), "-p", "ours", "organizations", "get", "me"]

    first, second = (
        subprocess.run(
            command, env={**environment, "HOME": str(tmp_path)}, capture_output=True, text=True, check=True
        )
        for _ in range(2)
    )

    cached = json.loads((directory / "token-cache.json").read_text())
    assert cached["ours"]["access_token"]
    assert json.loads(first.stdout)["organizationId"] == json.loads(second.stdout)["organizationId"]

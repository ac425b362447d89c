"""Environment variables that point the official clients, curl and Node at a stack."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pagemill.stack.directory import DataDirectory, StackError
from pagemill.stack.state_file import StackState


def client_environment(directory: DataDirectory) -> dict[str, str]:
    """Return the variables by name. Raises StackError before the first ``up``."""
    credentials = directory.credentials()
    state = directory.read(directory.state, StackState)
    if state is None:
        raise StackError(f"there is no stack in {directory.path} yet: run `pagemill up` first")
    authority = str(directory.ca_certificate)
    return {
        "LAS_CLIENT_ID": credentials.client_id,
        "LAS_CLIENT_SECRET": credentials.client_secret,
        "LAS_AUTH_ENDPOINT": f"localhost:{state.port}",
        "LAS_API_ENDPOINT": f"{state.url}/v1",
        "REQUESTS_CA_BUNDLE": authority,
        "NODE_EXTRA_CA_CERTS": authority,
        "CURL_CA_BUNDLE": authority,
    }


def shell_exports(environment: Mapping[str, str]) -> str:
    """Return lines for ``eval`` in any POSIX shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())

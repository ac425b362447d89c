"""Environment variables that point the official clients, curl and Node, or Ray's commands, at a stack."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pagemill.stack.directory import DataDirectory, StackError
from pagemill.stack.state_file import StackState


def client_environment(directory: DataDirectory) -> dict[str, str]:
    """Return the variables by name. Raises StackError before the first ``up``."""
    credentials = directory.credentials()
    state = _state(directory)
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


def ray_environment(directory: DataDirectory) -> dict[str, str]:
    """Return the variables for commands such as ``ray status`` and ``ray list actors``, by name.

    Raises StackError where the stack has no Ray of its own.
    """
    state = _state(directory)
    if state.ray_address is None or state.dashboard_url is None:
        raise StackError(f"the stack in {directory.path} has no Ray of its own")
    return {
        "RAY_ADDRESS": state.ray_address,
        "RAY_API_SERVER_ADDRESS": state.dashboard_url,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(directory.ray_token),
        # Without it Ray asks this machine's own address in place of the loopback one, where nobody listens.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }


def _state(directory: DataDirectory) -> StackState:
    state = directory.read(directory.state, StackState)
    if state is None:
        raise StackError(f"there is no stack in {directory.path} yet: run `pagemill up` first")
    return state


def shell_exports(environment: Mapping[str, str]) -> str:
    """Return lines for ``eval`` in any POSIX shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())

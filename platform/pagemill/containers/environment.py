"""Environment of a container: its ids, what its owner has set, secrets, and where the API is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from pagemill.settings import Settings

CA_PATH: Final = "/etc/pagemill/ca.pem"
"""Place of the certificate authority inside of a container."""
HOST_NAME: Final = "pagemill.localhost"
"""Name under which containers find the API on this machine; the certificate of ``pagemill up`` has it."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
CLIENT_ID: Final = "LAS_CLIENT_ID"
CLIENT_SECRET: Final = "LAS_CLIENT_SECRET"  # noqa: S105 - the variable's name
AUTH_ENDPOINT: Final = "LAS_AUTH_ENDPOINT"
API_ENDPOINT: Final = "LAS_API_ENDPOINT"
CA_VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of one container."""

    client_id: str
    client_secret: str = field(repr=False)


class ApiAddress:
    """Address of the API as containers reach it."""

    def __init__(self, public_url: str, container_url: str) -> None:
        parts = urlsplit(container_url or public_url)
        self.host = parts.hostname or ""
        self.is_this_machine = not container_url and self.host in LOOPBACK
        if self.is_this_machine:
            self.host = HOST_NAME
        self._scheme = parts.scheme
        self._place = self.host if parts.port is None else f"{self.host}:{parts.port}"

    @property
    def auth_endpoint(self) -> str:
        """Return host and port, as the clients take it."""
        return self._place

    @property
    def api_endpoint(self) -> str:
        """Return the URL with its version."""
        return f"{self._scheme}://{self._place}/v1"

    def translate(self, endpoint: str) -> str:
        """Return an endpoint with or without a scheme; this machine's own address becomes the API's.

        In a container, ``localhost`` is the container.
        """
        scheme, mark, rest = endpoint.rpartition("://")
        place, slash, path = rest.partition("/")
        host = urlsplit(f"//{place}").hostname
        return f"{scheme}{mark}{self._place}{slash}{path}" if host in LOOPBACK else endpoint


def api_address(settings: Settings) -> ApiAddress:
    """Return the address that the settings name."""
    return ApiAddress(settings.public_url, settings.container_api_url)


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables of a container, and the names of those that it cannot have."""

    values: Mapping[str, str]
    left_out: Sequence[str]

    @property
    def needs_credentials(self) -> bool:
        """Return whether it has no credentials of its owner's."""
        return CLIENT_ID not in self.values


def merge_environment(
    ids: Mapping[str, str], environment: Mapping[str, Any], secrets: Sequence[Mapping[str, Any]]
) -> Environment:
    """Merge variables: a secret's win over those of the transition, and nothing over the ids.

    Values that are no text cannot be variables; they are left out.
    """
    values: dict[str, str] = {}
    left_out: list[str] = []
    for given in (environment, *secrets, ids):
        for name, value in given.items():
            if _is_variable(name, value):
                values[name] = value
            else:
                left_out.append(name)
    return Environment(values, left_out)


def complete_environment(
    environment: Environment, address: ApiAddress, credentials: Credentials | None, *, with_ca: bool
) -> dict[str, str]:
    """Return all variables: with addresses that a container reaches, and its credentials if it gets any."""
    values = dict(environment.values)
    for name in (AUTH_ENDPOINT, API_ENDPOINT):
        if name in values:
            values[name] = address.translate(values[name])
    if credentials is not None:
        values |= {
            CLIENT_ID: credentials.client_id,
            CLIENT_SECRET: credentials.client_secret,
            AUTH_ENDPOINT: address.auth_endpoint,
            API_ENDPOINT: address.api_endpoint,
        }
    if with_ca:
        values = {name: CA_PATH for name in CA_VARIABLES} | values
    return values


def _is_variable(name: str, value: object) -> bool:
    return (
        isinstance(value, str) and name != "" and "=" not in name and "\0" not in name and "\0" not in value
    )

"""OpenID providers that the operator names in ``PAGEMILL_OPENID_PROVIDERS``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from pagemill.settings import Settings, SettingsError

VARIABLE = "PAGEMILL_OPENID_PROVIDERS"
LOCALHOST = ("localhost", "127.0.0.1", "::1")

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][-a-z0-9]{0,31}$(?!\n)")]
Domain = Annotated[str, Meta(pattern=r"^[-.a-z0-9]{1,253}$(?!\n)")]
Line = Annotated[str, Meta(min_length=1, max_length=512)]


class ProviderConfiguration(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A provider. ``name`` stands in the URL of its callback, ``title`` on the button.

    Without ``domains`` it is believed about every e-mail address, with them only about theirs. The file with
    the client secret is read once, when the API starts; a public client has none.
    """

    name: Name
    title: Annotated[str, Meta(min_length=1, max_length=40)]
    issuer: Line
    client_id: Line
    client_secret_file: str = ""
    domains: list[Domain] = msgspec.field(default_factory=list)


def read_providers(settings: Settings) -> list[ProviderConfiguration]:
    """Return the providers of the setting: JSON, or the path of a file with it. Raises SettingsError."""
    text = settings.openid_providers.strip()
    if not text:
        return []
    if text.startswith("/"):
        text = _read(Path(text))
    try:
        providers = msgspec.json.decode(text, type=list[ProviderConfiguration])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise SettingsError(f"{VARIABLE}: {error}") from None
    if len({one.name for one in providers}) < len(providers):
        raise SettingsError(f"{VARIABLE}: each provider needs a name of its own")
    for one in providers:
        _check_issuer(one, private=settings.openid_private_providers)
    return providers


def read_secret(provider: ProviderConfiguration) -> str | None:
    """Return the client secret of a provider, None without one. Raises SettingsError."""
    if not provider.client_secret_file:
        return None
    secret = _read(Path(provider.client_secret_file)).strip()
    if not secret:
        raise SettingsError(f"{VARIABLE}: {provider.client_secret_file} is empty")
    return secret


def is_usable_url(url: str, *, private: bool) -> bool:
    """Return whether a provider's URL may be used: by https, and by http on this machine if ``private``."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (private and parts.scheme == "http" and host in LOCALHOST)


def _check_issuer(provider: ProviderConfiguration, *, private: bool) -> None:
    parts = urlsplit(provider.issuer)
    if not is_usable_url(provider.issuer, private=private) or parts.query or parts.fragment:
        raise SettingsError(f"{VARIABLE}: the issuer of {provider.name} must be an https URL without a query")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{VARIABLE}: {path} cannot be read: {error}") from None

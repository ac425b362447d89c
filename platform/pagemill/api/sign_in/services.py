"""Services that the pages of one API process share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pagemill.api.sign_in.openid.providers import Provider, open_providers
from pagemill.api.sign_in.throttle import SignInThrottle
from pagemill.people.passwords import PasswordHashing
from pagemill.settings import Settings


@dataclass(frozen=True, slots=True)
class SignInServices:
    """Threads that hash passwords, OpenID providers by their names, and the count of tries."""

    passwords: PasswordHashing
    providers: Mapping[str, Provider]
    throttle: SignInThrottle

    def close(self) -> None:
        """End the threads."""
        self.passwords.close()


def open_sign_in(settings: Settings) -> SignInServices:
    """Return the services that the settings ask for. Raises SettingsError."""
    return SignInServices(
        PasswordHashing(concurrency=settings.password_concurrency),
        open_providers(settings),
        SignInThrottle(settings.sign_in_tries),
    )

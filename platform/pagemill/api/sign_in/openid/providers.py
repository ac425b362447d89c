"""OpenID providers: where a browser is sent, and whose account has come back (code flow with PKCE)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote

import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from pagemill.api.sign_in.openid.configuration import ProviderConfiguration, read_providers, read_secret
from pagemill.api.sign_in.openid.id_tokens import TokenRefused, algorithms_of, read_id_token
from pagemill.api.sign_in.openid.transport import ProviderAway, ProviderRefuses, ProviderTransport
from pagemill.people.accounts import LONGEST_NAME
from pagemill.people.identities import ProviderAccount
from pagemill.settings import Settings
from pagemill.storable_text import is_storable

SCOPE: Final = "openid email profile"
KEPT_SECONDS: Final = 3600.0
"""Time for which metadata and keys are not asked for again."""
KEYS_AGAIN_SECONDS: Final = 60.0
"""Least time between two looks for a key that is not known yet."""
LONGEST_SUBJECT: Final = 255
WELL_KNOWN: Final = "/.well-known/openid-configuration"


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """State, nonce and verifier that a browser is sent away with, and has to bring back."""

    state: str
    nonce: str
    verifier: str


def new_handshake() -> Handshake:
    """Return new random values."""
    return Handshake(
        state=secrets.token_urlsafe(32), nonce=secrets.token_urlsafe(32), verifier=secrets.token_urlsafe(48)
    )


class Provider:
    """One provider: its metadata and keys are asked for when they are needed, and kept for an hour."""

    def __init__(
        self,
        configuration: ProviderConfiguration,
        transport: ProviderTransport,
        *,
        secret: str | None,
        public_url: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.title, self.issuer = configuration.name, configuration.title, configuration.issuer
        self._configuration, self._secret = configuration, secret
        self._transport, self._clock = transport, clock
        self._redirect_uri = f"{public_url.rstrip('/')}/sign-in/openid/{quote(self.name)}/callback"
        self._metadata: tuple[dict[str, Any], float] | None = None
        self._keys: tuple[KeySet, float] | None = None

    async def authorization_url(self, handshake: Handshake) -> str:
        """Return where a browser is sent to sign in. Raises ProviderAway."""
        metadata = await self._read_metadata()
        return str(
            prepare_grant_uri(
                metadata["authorization_endpoint"],
                client_id=self._configuration.client_id,
                response_type="code",
                redirect_uri=self._redirect_uri,
                scope=SCOPE,
                state=handshake.state,
                nonce=handshake.nonce,
                code_challenge=create_s256_code_challenge(handshake.verifier),
                code_challenge_method="S256",
            )
        )

    async def account_of(self, code: str, handshake: Handshake) -> ProviderAccount:
        """Return the account that a code stands for. Raises ProviderAway and TokenRefused."""
        metadata = await self._read_metadata()
        answer = await self._exchange(metadata, code, handshake)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise TokenRefused("there is none")
        claims = await self._read_token(metadata, token, handshake)
        if "email" not in claims and isinstance(answer.get("access_token"), str):
            claims |= await self._more_claims(metadata, answer["access_token"], claims["sub"])
        return self._account(claims)

    async def _exchange(self, metadata: dict[str, Any], code: str, handshake: Handshake) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": handshake.verifier,
        }
        client_id, basic = self._configuration.client_id, None
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if self._secret is None:
            form["client_id"] = client_id
        elif "client_secret_basic" in methods:
            basic = (client_id, self._secret)
        else:
            form |= {"client_id": client_id, "client_secret": self._secret}
        try:
            return await self._transport.post(metadata["token_endpoint"], form, basic=basic)
        except ProviderRefuses:
            raise TokenRefused("the provider takes the code for wrong") from None

    async def _read_token(self, metadata: dict[str, Any], token: str, handshake: Handshake) -> dict[str, Any]:
        """Return the claims of a token; with a key that is not known yet, the keys are asked for again."""
        keys, since = await self._read_keys(metadata)
        try:
            return self._claims(metadata, keys, token, handshake)
        except TokenRefused:
            if self._clock() - since < KEYS_AGAIN_SECONDS:
                raise
        self._keys = None
        keys, _ = await self._read_keys(metadata)
        return self._claims(metadata, keys, token, handshake)

    def _claims(
        self, metadata: dict[str, Any], keys: KeySet, token: str, handshake: Handshake
    ) -> dict[str, Any]:
        return read_id_token(
            token,
            keys,
            issuer=self.issuer,
            client_id=self._configuration.client_id,
            nonce=handshake.nonce,
            algorithms=algorithms_of(metadata),
        )

    async def _more_claims(self, metadata: dict[str, Any], access_token: str, subject: str) -> dict[str, Any]:
        """Return what the provider says of the same account where it is asked separately."""
        endpoint = metadata.get("userinfo_endpoint")
        if not isinstance(endpoint, str):
            return {}
        said = await self._transport.get(endpoint, bearer=access_token)
        if said.get("sub") != subject:
            raise TokenRefused("the userinfo is that of another account")
        return {name: said[name] for name in ("email", "email_verified") if name in said} | {
            name: said[name] for name in ("given_name", "family_name") if isinstance(said.get(name), str)
        }

    def _account(self, claims: dict[str, Any]) -> ProviderAccount:
        subject = claims["sub"]
        if (
            not isinstance(subject, str)
            or not 0 < len(subject) <= LONGEST_SUBJECT
            or not is_storable(subject)
        ):
            raise TokenRefused("its subject cannot be kept")
        email = self._believed_email(claims)
        return ProviderAccount(
            issuer=self.issuer,
            subject=subject,
            email=email,
            # Such an address is believed only if it is of one of them.
            decides=email is not None and bool(self._configuration.domains),
            given_name=_name(claims.get("given_name")),
            family_name=_name(claims.get("family_name")),
        )

    def _believed_email(self, claims: dict[str, Any]) -> str | None:
        """Return the address if the provider has verified it, and may say so of its domain."""
        email = claims.get("email")
        if not isinstance(email, str) or claims.get("email_verified") not in (True, "true"):
            return None
        domains = self._configuration.domains
        return email if not domains or email.lower().rpartition("@")[2] in domains else None

    async def _read_metadata(self) -> dict[str, Any]:
        """Return the provider's metadata. Raises ProviderAway, also when they are somebody else's."""
        if self._metadata is not None and self._clock() - self._metadata[1] < KEPT_SECONDS:
            return self._metadata[0]
        metadata = await self._transport.get(f"{self.issuer.rstrip('/')}{WELL_KNOWN}")
        if metadata.get("issuer") != self.issuer:
            raise ProviderAway("The sign-in service is not set up well", detail="another issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(metadata.get(name), str) or not self._transport.is_usable(metadata[name]):
                raise ProviderAway("The sign-in service is not set up well", detail=f"no usable {name}")
        self._metadata = (metadata, self._clock())
        return metadata

    async def _read_keys(self, metadata: dict[str, Any]) -> tuple[KeySet, float]:
        """Return the provider's keys, and since when they are known. Raises ProviderAway."""
        if self._keys is None or self._clock() - self._keys[1] >= KEPT_SECONDS:
            said = await self._transport.get(metadata["jwks_uri"])
            try:
                keys = KeySet.import_key_set({"keys": list(said["keys"])})
            except (JoseError, ValueError, TypeError, KeyError) as error:
                raise ProviderAway(
                    "The sign-in service is not set up well", detail=f"its keys: {type(error).__name__}"
                ) from error
            self._keys = (keys, self._clock())
        return self._keys


def _name(said: object) -> str | None:
    """Return a name that a provider says, if it can be kept."""
    return said[:LONGEST_NAME] if isinstance(said, str) and said and is_storable(said) else None


def open_providers(settings: Settings) -> dict[str, Provider]:
    """Return the providers of the settings by their names. Raises SettingsError."""
    return named(
        Provider(
            configuration,
            ProviderTransport(private=settings.openid_private_providers),
            secret=read_secret(configuration),
            public_url=settings.public_url,
        )
        for configuration in read_providers(settings)
    )


def named(providers: Iterable[Provider]) -> dict[str, Provider]:
    """Return providers by their names, in their order."""
    return {provider.name: provider for provider in providers}

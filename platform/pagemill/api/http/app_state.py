"""State of an API process: its settings and connections."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from litestar.connection import ASGIConnection

from db.pool import Acquisition, Pool, acquire
from db.principals import PrincipalRow
from pagemill.api.auth.coalesced_lookups import CoalescedLookups
from pagemill.api.auth.token_throttle import TokenThrottle
from pagemill.api.auth.tokens import AccessTokens
from pagemill.api.http.client_address import NOBODY, TrustedProxies
from pagemill.api.sign_in.services import SignInServices
from pagemill.audit.refusals import Refusals
from pagemill.documents.thumbnails.cache import ThumbnailCache
from pagemill.jobs.admission import QueueAdmission
from pagemill.jobs.waiting import JobListener
from pagemill.objects import ObjectStore
from pagemill.payments import SetupIntents
from pagemill.people.grants import RefreshTokens
from pagemill.secret_box import SecretBox
from pagemill.settings import Settings
from pagemill.usage.request_rate import RequestRate
from pagemill.workflows.execution_starts import ExecutionStarts

KEPT = "app_state"
"""Key of the application's state in the state of a request."""


@dataclass(frozen=True, slots=True)
class AppState:
    """Settings, connections and caches, opened when the application starts."""

    settings: Settings
    pool: Pool
    objects: ObjectStore
    listener: JobListener
    secret_box: SecretBox
    setup_intents: SetupIntents
    request_rate: RequestRate
    thumbnails: ThumbnailCache
    admission: QueueAdmission
    token_throttle: TokenThrottle
    tokens: AccessTokens
    refresh_tokens: RefreshTokens
    sign_in: SignInServices
    refusals: Refusals
    execution_starts: ExecutionStarts
    trusted_proxies: TrustedProxies = NOBODY
    principals: CoalescedLookups[PrincipalRow | None] = field(default_factory=CoalescedLookups)

    def connection(self) -> Acquisition:
        """Acquire a connection. Raises PoolExhausted when all stay in use."""
        return acquire(self.pool)


def state_of(connection: ASGIConnection[Any, Any, Any, Any]) -> AppState:
    """Return the state of the application that serves a request."""
    kept = connection.scope["state"]
    # The application's own is behind a lock, and each request asks for it several times.
    found = kept.get(KEPT)
    if found is None:
        found = kept[KEPT] = connection.app.state.pagemill
    return cast("AppState", found)

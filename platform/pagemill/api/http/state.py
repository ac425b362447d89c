"""What one API process holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from litestar.connection import ASGIConnection

from db.pool import Acquisition, Pool, acquire
from db.principals import PrincipalRow
from pagemill.api.auth.shared_lookups import SharedLookups
from pagemill.documents.thumbnails.cache import Renditions
from pagemill.jobs.listener import OutcomeListener
from pagemill.jobs.pressure import Pressure
from pagemill.objects import ObjectStore
from pagemill.payments import SetupIntents
from pagemill.secret_box import SecretBox
from pagemill.settings import Settings
from pagemill.usage.request_rate import RequestRate


@dataclass(frozen=True, slots=True)
class AppState:
    """Settings and connections, opened by the application's lifespan."""

    settings: Settings
    pool: Pool
    objects: ObjectStore
    listener: OutcomeListener
    secret_box: SecretBox
    setup_intents: SetupIntents
    request_rate: RequestRate
    renditions: Renditions
    pressure: Pressure
    principals: SharedLookups[PrincipalRow | None] = field(default_factory=SharedLookups)

    def connection(self) -> Acquisition:
        """Acquire a connection. Raises PoolExhausted when all stay in use."""
        return acquire(self.pool)


def state_of(connection: ASGIConnection[Any, Any, Any, Any]) -> AppState:
    """The state of the application that serves a request."""
    return cast("AppState", connection.app.state.pagemill)

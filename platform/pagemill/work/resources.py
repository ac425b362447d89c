"""Resources that runners of jobs share."""

from __future__ import annotations

from dataclasses import dataclass

from db.pool import Pool
from pagemill.objects import ObjectStore
from pagemill.secret_box import SecretBox
from pagemill.settings import Settings


@dataclass(frozen=True, kw_only=True)
class WorkResources:
    """Resources of a dispatcher. A kind that needs more than these extends them in its module.

    ``secret_box`` is None without keys.
    """

    settings: Settings
    pool: Pool
    objects: ObjectStore
    secret_box: SecretBox | None

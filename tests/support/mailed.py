"""The mail that is queued in a test's database."""

from __future__ import annotations

from typing import Any

import asyncpg

from db.mail import set_mail_service


async def set_mail(
    pool: asyncpg.Pool, *, available: bool = True, daily_quota: int = 500, stranger_interval: float = 0.0
) -> None:
    """As a dispatcher says it that has a mail server; addresses may be mailed as often as one likes."""
    async with pool.acquire() as connection:
        await set_mail_service(
            connection,
            available=available,
            daily_quota=daily_quota,
            stranger_interval=stranger_interval,
        )


async def mailed(pool: asyncpg.Pool) -> list[dict[str, Any]]:
    """What is queued, in its order and then by address."""
    rows = await pool.fetch(
        "SELECT payload FROM job WHERE kind = 'mail' ORDER BY created_time, payload ->> 'to', id"
    )
    return [row["payload"] for row in rows]

"""Work after an answer: how long it takes tells the browser nothing."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from litestar.background_tasks import BackgroundTask

from pagemill.api.http.error_responses import DATABASE_BUSY
from pagemill.api.http.request_ids import request_id_of
from pagemill.api.sign_in.visits import Visit

logger = logging.getLogger(__name__)


def after_answer(work: Callable[[Visit, str], Awaitable[None]], visit: Visit, email: str) -> BackgroundTask:
    """Return work for an address, to be done once the answer was sent.

    When the database is away it is not done, and only the log says so: the person asks again.
    """

    async def run() -> None:
        try:
            await work(visit, email)
        except DATABASE_BUSY as error:
            logger.warning(
                "no mail was queued: %r", error, extra={"request_id": request_id_of(visit.request)}
            )

    return BackgroundTask(run)

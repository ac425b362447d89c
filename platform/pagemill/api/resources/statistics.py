"""How much of what a model finds needs no human: ``statistics`` of models and trainings."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, TypeAlias

from litestar.params import Parameter

from db.predictions import PREDICTION_STATISTICS
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.schemas import timestamp

StatisticsLastNDays: TypeAlias = Annotated[
    int | None, Parameter(query="statisticsLastNDays", ge=1, le=30, required=False)
]
DEFAULT_DAYS = 7
NEWEST_PREDICTIONS = 1000
"""So many are looked at, however many there are: a rate does not get better by more, only slower."""
SURE_ENOUGH = 0.9
"""Where the training's evaluation found no threshold of its own."""


async def statistics_of(
    connection: Connection, caller: Caller, model_id: str, days: int | None, *, training_id: str | None = None
) -> dict[str, Any] | None:
    """The share of the caller's latest predictions in which a field's value was sure enough, by label.

    None when nobody asked for a period and there is nothing to tell.
    """
    to_time = datetime.datetime.now(datetime.UTC)
    from_time = to_time - datetime.timedelta(days=days or DEFAULT_DAYS)
    rows = await PREDICTION_STATISTICS.fetch(
        connection,
        caller.organization_id,
        model_id,
        from_time,
        training_id,
        SURE_ENOUGH,
        NEWEST_PREDICTIONS,
    )
    if not rows and days is None:
        return None
    return {
        "fields": {
            row["label"]: {
                "automationRate": round(row["automated"] / row["predictions"], 4),
                "numberOfPredictions": row["predictions"],
            }
            for row in rows
        },
        "fromTime": timestamp(from_time),
        "toTime": timestamp(to_time),
    }

"""``statistics`` of models and trainings: how much of what they find needs no human."""

from __future__ import annotations

import datetime
from typing import Annotated, TypeAlias

from litestar.params import Parameter

from db.predictions import list_label_statistics
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.schemas import timestamp
from pagemill.ids import ModelId, TrainingId

StatisticsLastNDays: TypeAlias = Annotated[
    int | None, Parameter(query="statisticsLastNDays", ge=1, le=30, required=False)
]
DEFAULT_DAYS = 7
NEWEST_PREDICTIONS = 1000
"""Maximum number of predictions that are counted: more make the rate slower to compute, not more precise."""
DEFAULT_THRESHOLD = 0.9
"""Confidence that needs no human where the evaluation of the training recommends no threshold."""


async def statistics_of(
    connection: Connection,
    caller: Caller,
    model_id: ModelId,
    days: int | None,
    *,
    training_id: TrainingId | None = None,
) -> dict[str, object] | None:
    """Return the automation rate of each label in the caller's predictions of the last ``days`` days.

    Return None when the request names no period and there are no predictions.
    """
    to_time = datetime.datetime.now(datetime.UTC)
    from_time = to_time - datetime.timedelta(days=days or DEFAULT_DAYS)
    rows = await list_label_statistics(
        connection,
        organization_id=caller.organization_id,
        model_id=model_id,
        from_time=from_time,
        training_id=training_id,
        default_threshold=DEFAULT_THRESHOLD,
        newest=NEWEST_PREDICTIONS,
    )
    if not rows and days is None:
        return None
    return {
        "fields": {
            row.label: {
                "automationRate": round(row.automated / row.predictions, 4),
                "numberOfPredictions": row.predictions,
            }
            for row in rows
        },
        "fromTime": timestamp(from_time),
        "toTime": timestamp(to_time),
    }

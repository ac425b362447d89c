"""``statistics`` of models and trainings: how much of their finds needs no human, and how much was right."""

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
    """Return the automation rate and the accuracy of each field in the predictions of the last ``days`` days.

    A rate is null where nothing was predicted, an accuracy where nothing was checked: where no document got
    a label for the field after its prediction. The predictions are the caller's. Return None when the request
    names no period and there are no predictions.
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
    if days is None and not any(row.predictions for row in rows):
        return None
    return {
        "fields": {
            row.label: {
                "automationRate": _share(row.automated, row.predictions),
                "numberOfPredictions": row.predictions,
                "accuracy": _share(row.confirmed, row.checked),
                "numberOfChecked": row.checked,
            }
            for row in rows
        },
        "fromTime": timestamp(from_time),
        "toTime": timestamp(to_time),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None

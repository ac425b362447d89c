"""Pages that jobs still have to read or have just read: replicas are ordered by them."""

from __future__ import annotations

from typing import Annotated

from db.jobs import JobState
from db.statements import Connection, NeverNull, Row, crossing


class OpenPredictionsRow(Row):
    """Open predictions of a state; ``oldest`` is the age in seconds of the one that has waited longest."""

    state: Annotated[JobState, NeverNull("a constant")]
    interactive: Annotated[bool, NeverNull("a comparison of a column that is not null")]
    jobs: Annotated[int, NeverNull("count(*)")]
    oldest: Annotated[float, NeverNull("there is a row in each group")]


class AskedPagesRow(Row):
    """The mean number of pages that a queued and a running prediction asks for; null without one."""

    queued: float | None
    running: float | None


_ASKED = """
    CASE WHEN jsonb_typeof(prediction.preprocess_config -> 'pages') = 'array'
        THEN jsonb_array_length(prediction.preprocess_config -> 'pages')
        ELSE coalesce((prediction.preprocess_config ->> 'maxPages')::integer, 1)
    END
""".strip()
"""Pages that a prediction asks for. A document may have fewer; where all estimates are made of what is asked
for, also the time that a page takes, the difference cancels out."""


def _mean_asked(state: str) -> str:
    """Return SQL for the mean over some jobs of a state: each takes a look-up, and a queue can be long."""
    return f"""
        (SELECT avg({_ASKED})::float8
        FROM (
            SELECT organization_id, subject_id FROM job
            WHERE state = '{state}' AND kind = 'prediction' LIMIT :sample
        ) AS sampled
        JOIN prediction ON prediction.organization_id = sampled.organization_id
            AND prediction.id = sampled.subject_id)
    """


def _open(state: str, since: str) -> str:
    return f"""
        SELECT '{state}' AS state, priority < :batch_priority AS interactive, count(*) AS jobs,
            extract(epoch FROM now() - min({since}))::float8 AS oldest
        FROM job WHERE state = '{state}' AND kind = 'prediction' AND run_after <= now()
        GROUP BY priority < :batch_priority
    """


@crossing(
    "replicas are shared by all organizations; how much waits is counted, not whose",
    f"""{_open("queued", "created_time")} UNION ALL {_open("running", "created_time")}""",
)
async def list_open_predictions(connection: Connection, *, batch_priority: int) -> list[OpenPredictionsRow]:
    """Count the predictions that are due or run; those below ``batch_priority`` are interactive."""


@crossing(
    "replicas are shared by all organizations; how much waits is counted, not whose",
    f"""SELECT {_mean_asked("queued")} AS queued, {_mean_asked("running")} AS running""",
)
async def get_asked_pages(connection: Connection, *, sample: int) -> AskedPagesRow:
    """Return how many pages an open prediction asks for, looking at ``sample`` of each state."""


@crossing(
    "replicas are shared by all organizations; how much waits is counted, not whose",
    """
    SELECT coalesce(sum((dataset ->> 'numberOfDocuments')::bigint), 0)::bigint AS documents
    FROM job
    JOIN data_bundle ON data_bundle.organization_id = job.organization_id AND data_bundle.id = job.subject_id
    CROSS JOIN LATERAL jsonb_array_elements(data_bundle.datasets) AS dataset
    WHERE job.state = 'queued' AND job.kind = 'data-bundle' AND job.run_after <= now()
    """,
)
async def count_documents_to_bundle(
    connection: Connection,
) -> Annotated[int, NeverNull("zero without a bundle")]:
    """Return the number of documents in the datasets of queued data bundles."""


@crossing(
    "replicas are shared by all organizations; their speed is measured on everybody's pages",
    f"""
    SELECT coalesce(sum({_ASKED}), 0)::bigint AS pages
    FROM (
        SELECT organization_id, subject_id, kind, state FROM job
        WHERE ended_time > now() - :seconds * interval '1 second'
        ORDER BY ended_time DESC LIMIT :limit
    ) AS ended
    JOIN prediction ON prediction.organization_id = ended.organization_id
        AND prediction.id = ended.subject_id
    WHERE ended.kind = 'prediction' AND ended.state = 'succeeded'
    """,
)
async def count_ended_pages(
    connection: Connection, *, seconds: float, limit: int
) -> Annotated[int, NeverNull("zero without a prediction")]:
    """Return the pages of predictions that succeeded in the last ``seconds``, of the last ``limit`` jobs."""


@crossing(
    "the server's own connections; no tenant data",
    """
    SELECT count(*) AS connections FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = :application_name
    """,
)
async def count_connections(
    connection: Connection, *, application_name: str
) -> Annotated[int, NeverNull("count(*)")]:
    """Return how many connections of a name the database has."""

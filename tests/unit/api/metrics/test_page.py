"""The page has what was counted, under labels of which there are never more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pagemill.api.metrics.figure_places import (
    IDLE_CONNECTIONS,
    METHODS,
    REQUEST_SECONDS,
    STATUSES,
    USED_CONNECTIONS,
    FigurePlaces,
    Operation,
)
from pagemill.api.metrics.page import ApiFigures
from pagemill.api.metrics.queue_watch import QueueFigures
from pagemill.api.metrics.request_metrics import RequestMetrics
from pagemill.release import release
from pagemill.work.open_pages import OpenPages
from pagemill.workflows.execution_figures import ExecutionFigures

DOCUMENT = "/v1/documents/{document_id}"
PLACES = FigurePlaces([Operation("GET", DOCUMENT), Operation("GET", "/health")])
QUEUE = QueueFigures(
    waiting={"prediction": 3},
    running={"training": 1, "of-another-release": 2},
    oldest={"prediction": 7.5},
    pages=OpenPages(interactive=6.0, background=40.0),
    dispatchers={"interactive": 2},
    executions=ExecutionFigures({"retry": 2}, 5, 61.5, {("docker", "failed"): 4}),
    refused_mail=9,
)


@pytest.fixture
def requests() -> RequestMetrics:
    return RequestMetrics(PLACES)


def scope(method: str, template: str | None) -> Any:
    return {"method": method, **({} if template is None else {"path_template": template})}


def values(requests: RequestMetrics, queue: QueueFigures | None = QUEUE) -> dict[str, float]:
    """The samples of a page, by their name and labels."""
    requests.count()
    page = ApiFigures(
        places=PLACES,
        processes=requests.figures.tolist(),
        queue=queue,
        volumes={"temporary": Path("/"), "data": Path("/is/not/there")},
        kinds=("prediction", "mail"),
        roles=("interactive", "long"),
    ).page()
    return {
        sample.name + "".join(f"|{value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_requests_are_counted_by_the_template_of_their_path(requests: RequestMetrics) -> None:
    for seconds, status in ((0.004, 200), (0.005, 200), (0.3, 404)):
        requests.begun()
        requests.answered(scope("GET", DOCUMENT), status, seconds)
    requests.begun()

    found = values(requests)

    assert found["pagemill_http_requests_total|GET|/documents/{documentId}|200"] == 2
    assert found["pagemill_http_requests_total|GET|/documents/{documentId}|404"] == 1
    assert found["pagemill_http_request_seconds_count|GET|/documents/{documentId}"] == 3
    assert found["pagemill_http_request_seconds_sum|GET|/documents/{documentId}"] == pytest.approx(0.309)
    buckets = {
        name.split("|")[1]: value
        for name, value in found.items()
        if name.startswith("pagemill_http_request_seconds_bucket")
    }
    assert [buckets[str(bound)] for bound in REQUEST_SECONDS] == [0, 2, 2, 2, 2, 2, 2, *[3] * 7]
    assert buckets["+Inf"] == 3
    assert found["pagemill_http_requests_in_flight"] == 1


@pytest.mark.parametrize(
    ("method", "template", "labels"),
    [
        ("GET", None, "GET|unknown"),
        ("PUT", DOCUMENT, "PUT|unknown"),
        ("BREW", None, "other|unknown"),
        ("x" * 10_000, None, "other|unknown"),
    ],
)
def test_what_is_not_known_has_one_label(
    requests: RequestMetrics, method: str, template: str | None, labels: str
) -> None:
    requests.answered(scope(method, template), 404, 0.001)
    assert values(requests)[f"pagemill_http_requests_total|{labels}|404"] == 1


def test_a_request_without_an_answer_and_one_with_a_status_of_its_own_are_counted(
    requests: RequestMetrics,
) -> None:
    requests.answered(scope("GET", "/health"), 0, 0.001)
    requests.answered(scope("GET", "/health"), 799, 0.001)
    assert values(requests)["pagemill_http_requests_total|GET|/health|none"] == 2


def test_the_number_of_series_has_a_bound(requests: RequestMetrics) -> None:
    for method in (*METHODS, "BREW", "WHEN"):
        for template in (None, DOCUMENT, "/health", "/v1/documents/1", "/v1/documents/2"):
            for status in (*STATUSES, 299, 799):
                requests.answered(scope(method, template), status, 0.001)
    operations = 2 + len(METHODS) + 1
    counted = [name for name in values(requests) if name.startswith("pagemill_http_requests_total")]
    assert len(counted) == operations * len(STATUSES)


def test_the_queue_is_shown_with_zeros_for_what_does_not_wait(requests: RequestMetrics) -> None:
    found = values(requests)
    assert found["pagemill_postgres_up"] == 1
    assert (found["pagemill_jobs_waiting|prediction"], found["pagemill_jobs_waiting|mail"]) == (3, 0)
    assert (found["pagemill_jobs_running|mail"], found["pagemill_jobs_running|of-another-release"]) == (0, 2)
    assert found["pagemill_oldest_job_age_seconds|prediction"] == 7.5
    assert found["pagemill_oldest_job_age_seconds|mail"] == 0
    assert (found["pagemill_pages_waiting|interactive"], found["pagemill_pages_waiting|background"]) == (
        6,
        40,
    )
    assert (found["pagemill_dispatchers|interactive"], found["pagemill_dispatchers|long"]) == (2, 0)
    assert found["pagemill_mail_refused"] == 9


def test_executions_are_shown_with_zeros_for_what_there_is_not(requests: RequestMetrics) -> None:
    found = values(requests)
    statuses = {name: found[f"pagemill_workflow_executions|{name}"] for name in ("running", "retry")}
    assert statuses == {"running": 0, "retry": 2}
    assert found["pagemill_manual_steps_waiting"] == 5
    assert found["pagemill_oldest_manual_step_age_seconds"] == 61.5
    ended = {name: value for name, value in found.items() if name.startswith("pagemill_steps_ended_total")}
    assert len(ended) == 3 * 4
    assert {name: value for name, value in ended.items() if value} == {
        "pagemill_steps_ended_total|failed|docker": 4
    }


def test_without_postgres_nothing_is_said_of_the_queue_and_the_rest_is_there(
    requests: RequestMetrics,
) -> None:
    requests.figures[IDLE_CONNECTIONS], requests.figures[USED_CONNECTIONS] = 4.0, 1.0
    found = values(requests, queue=None)
    assert found["pagemill_postgres_up"] == 0
    assert not [
        name
        for name in found
        if name.removeprefix("pagemill_").startswith(("jobs", "pages", "disp", "workflow", "manual", "steps"))
    ]
    assert found["pagemill_postgres_pool_connections|idle"] == 4
    assert found["pagemill_postgres_pool_connections|used"] == 1
    assert found[f"pagemill_build_info|{release()}"] == 1


def test_disks_are_shown_where_they_are(requests: RequestMetrics) -> None:
    found = values(requests)
    assert 0 < found["pagemill_disk_free_bytes|temporary"] < found["pagemill_disk_size_bytes|temporary"]
    assert "pagemill_disk_free_bytes|data" not in found

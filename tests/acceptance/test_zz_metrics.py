"""A stack that has worked has the metrics that are documented. Runs last: much has happened then."""

from __future__ import annotations

import urllib.request

import las
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from examples.local_stack import LocalStack
from tests.acceptance.conftest import Trained
from tests.support.processes import eventually
from tests.unit.test_metrics import documented

SECONDS = 60.0
OF_RARE_EVENTS = {
    "ray_pagemill_gpu_seconds_total",
    "ray_pagemill_model_evictions_total",
    "ray_pagemill_model_failures_total",
    "ray_pagemill_recognition_batch_size",
    "ray_pagemill_reservation_seconds",
    "ray_pagemill_reservations_total",
}
"""Metrics of a GPU, of what fails, of scanned pages, and of plans with limits."""


def addresses(stack: LocalStack) -> list[str]:
    """Address of the metrics that ``pagemill status`` shows."""
    exporters = stack.status()["metrics"]
    assert [one["status"] for one in exporters] == ["up", "up"]
    return [one["url"] for one in exporters]


def scrape(urls: list[str]) -> dict[str, Metric]:
    """All metrics of ours that have values, by their names."""
    found: dict[str, Metric] = {}
    for url in urls:
        with urllib.request.urlopen(url, timeout=60) as answer:
            page = answer.read().decode()
        for metric in text_string_to_metric_families(page):
            name = metric.name + ("_total" if metric.type == "counter" else "")
            if name.startswith(("pagemill_", "ray_pagemill_")) and metric.samples:
                found[name] = metric
    return found


def test_a_stack_has_the_metrics_that_are_documented(
    stack: LocalStack, client: las.Client, trained: Trained
) -> None:
    for _, document_id in trained.documents[:2]:
        # The second one finds its model loaded.
        client.create_prediction(document_id, trained.model_id)
    urls = addresses(stack)
    declared = {metric.name: metric for metric in documented()}

    # Processes on Ray tell their node every few seconds.
    eventually(
        lambda: set(declared) - set(scrape(urls)), lambda missing: missing <= OF_RARE_EVENTS, seconds=SECONDS
    )

    found = scrape(urls)
    assert set(found) <= set(declared)
    for name, metric in found.items():
        labels = {label for sample in metric.samples for label in sample.labels} - {"le"}
        assert declared[name].kind == metric.type, name
        assert declared[name].labels <= labels, name
    labelled = {
        value for metric in found.values() for sample in metric.samples for value in sample.labels.values()
    }
    assert not labelled & {trained.model_id, trained.dataset_id, *(name for _, name in trained.documents)}
    assert not [value for value in labelled if value.startswith("las:")]

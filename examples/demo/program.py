"""Program of ``make demo``. It uses the official client only and ends with one line of JSON."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import las
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from examples.demo import job
from examples.demo.comparison import Compared, compare
from examples.demo.sample_documents import FIELD_CONFIG, SampleDocument, sample_documents
from examples.local_stack import LocalStack, local_stack

DATA_DIRECTORY = Path(".pagemill-demo")
TRAINING_DOCUMENTS, TRAINING_SEED = 60, 1
UNSEEN_DOCUMENTS, UNSEEN_SEED = 18, 2
ENOUGH_RIGHT = 0.95
STACK_SETTINGS = {"PAGEMILL_TRAINING_BUDGET": "110"}
SHOWN_ROWS = 2
"""Of the rows of line items, so many are shown per document, and all that are wrong."""


@dataclass(slots=True)
class Figures:
    """Figures of the last line."""

    documents: int = 0
    predictions: int = 0
    pages: int = 0
    training_seconds: float = 0.0
    prediction_seconds: float = 0.0
    compared: list[Compared] = field(default_factory=list)

    @property
    def share_right(self) -> float:
        """Return the share of fields that are right."""
        return sum(item.right for item in self.compared) / max(len(self.compared), 1)

    def summary(self) -> dict[str, float]:
        """Return the result as JSON."""
        return {
            "documents": self.documents,
            "predictions": self.predictions,
            "fields": len(self.compared),
            "fieldsCorrect": sum(item.right for item in self.compared),
            "trainingSeconds": round(self.training_seconds, 1),
            "pagesPerSecond": round(self.pages / max(self.prediction_seconds, 1e-9), 2),
        }


class Demo:
    """Steps of the demo, each with its progress."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.figures = Figures()

    def run(self) -> None:
        """Run everything, show a table of predicted fields, and stop everything again."""
        shutil.rmtree(DATA_DIRECTORY, ignore_errors=True)
        with self._progress() as progress:
            task = progress.add_task("Drawing sample documents", total=2)
            training = sample_documents(TRAINING_DOCUMENTS, seed=TRAINING_SEED)
            progress.advance(task)
            unseen = sample_documents(UNSEEN_DOCUMENTS, seed=UNSEEN_SEED)
            progress.advance(task)
        with self._started() as stack:
            os.environ.update(stack.environment)
            client = las.Client()
            model_id = job.create_model(client)
            self._train(client, model_id, training)
            self._predict(client, model_id, unseen)
            self._show_counters(client.get_organization("me"))
            self._show_dashboard(stack)
        shutil.rmtree(DATA_DIRECTORY, ignore_errors=True)
        self.console.print("To try a workflow: docs/workflows.md has three, from the first line to the last")

    @contextmanager
    def _progress(self) -> Iterator[Progress]:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            yield progress

    @contextmanager
    def _started(self) -> Iterator[LocalStack]:
        with self.console.status("Starting Postgres, Ray and the API") as status:
            started = time.monotonic()
            running = local_stack(
                DATA_DIRECTORY,
                settings=STACK_SETTINGS,
                on_line=lambda line: status.update(f"Starting: {line}"),
            )
            stack = running.__enter__()
            seconds = time.monotonic() - started
        address = stack.environment["LAS_API_ENDPOINT"]
        self.console.print(f"[green]ready[/] {address} after {seconds:.0f} s")
        try:
            yield stack
        finally:
            with self.console.status("Stopping everything"):
                running.__exit__(None, None, None)

    def _train(self, client: las.Client, model_id: str, documents: Sequence[SampleDocument]) -> None:
        dataset_id = client.create_dataset(name="Training documents")["datasetId"]
        with self._progress() as progress:
            task = progress.add_task("Uploading labelled documents", total=len(documents))
            for _ in job.upload(client, documents, dataset_id=dataset_id):
                progress.advance(task)
        self.figures.documents += len(documents)
        bundle = client.create_data_bundle(model_id, [dataset_id], name="All documents")
        self._follow("Reading pages", lambda: client.get_data_bundle(model_id, bundle["dataBundleId"]))
        started = time.monotonic()
        training = client.create_training(model_id, [bundle["dataBundleId"]], name="First training")
        training_id = training["trainingId"]
        ended = self._follow("Training", lambda: client.get_training(model_id, training_id))
        self.figures.training_seconds = time.monotonic() - started
        client.update_model(model_id, trainingId=training_id)
        accuracy = ended["evaluation"].get("accuracy")
        self.console.print(f"[green]trained[/] {training_id}, accuracy on held-out documents: {accuracy}")

    def _follow(self, name: str, read: Any) -> job.Answer:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(name, total=None)
            answer = job.wait_for(read, lambda status: progress.update(task, description=f"{name}: {status}"))
            progress.update(task, description=f"{name}: succeeded", total=1, completed=1)
        return answer

    def _predict(self, client: las.Client, model_id: str, documents: Sequence[SampleDocument]) -> None:
        uploaded = list(job.upload(client, documents, dataset_id=None))
        self.figures.documents += len(uploaded)
        results: list[tuple[SampleDocument, list[Compared]]] = []
        started = time.monotonic()
        with self._progress() as progress:
            task = progress.add_task("Predicting documents it has not seen", total=len(uploaded))
            for document, answer in job.predict(client, model_id, uploaded):
                compared = compare(answer["predictions"], document.ground_truth, FIELD_CONFIG)
                results.append((document, compared))
                self.figures.compared += compared
                self.figures.predictions += 1
                self.figures.pages += document.number_of_pages
                progress.advance(task)
        self.figures.prediction_seconds = time.monotonic() - started
        for document, compared in results:
            self._show_fields(document, compared)

    def _show_fields(self, document: SampleDocument, compared: Sequence[Compared]) -> None:
        table = Table(title=document.name, title_justify="left", title_style="bold", expand=False)
        for column in ("", "field", "predicted", "truth"):
            table.add_column(column, overflow="fold")
        table.add_column("confidence", justify="right")
        hidden = 0
        for item in compared:
            if item.right and _row_number(item) >= SHOWN_ROWS:
                hidden += 1
                continue
            mark = "[green]✓[/]" if item.right else "[red]✗[/]"
            confidence = "" if item.confidence is None else f"{item.confidence:.3f}"
            table.add_row(mark, item.label, item.predicted or "-", item.truth or "-", confidence)
        if hidden:
            table.caption = f"and {hidden} more cells, all right"
        self.console.print(table)

    def _show_counters(self, organization: job.Answer) -> None:
        table = Table(title="Organization's counters", title_justify="left", title_style="bold")
        table.add_column("counter")
        table.add_column("used", justify="right")
        for name, value in sorted(organization.items()):
            if name.endswith(("Created", "Used")) and value:
                table.add_row(name, str(value))
        self.console.print(table)

    def _show_dashboard(self, stack: LocalStack) -> None:
        self.console.print(
            f"Ray dashboard while the stack runs: {_dashboard(stack.status()) or 'switched off'}"
        )


def _row_number(item: Compared) -> int:
    return int(item.label.partition("[")[2].partition("]")[0] or -1)


def _dashboard(status: Any) -> str | None:
    """Return the first URL below a key that names the dashboard."""
    if isinstance(status, dict):
        for key, value in status.items():
            if "dashboard" in key.lower() and isinstance(value, str):
                return value
        return next((found for value in status.values() if (found := _dashboard(value))), None)
    if isinstance(status, list):
        return next((found for value in status if (found := _dashboard(value))), None)
    return None


def main() -> None:
    """Run the demo; exit 1 unless enough fields are right."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    demo = Demo(console)
    demo.run()
    figures = demo.figures
    colour = "green" if figures.share_right >= ENOUGH_RIGHT else "red"
    console.print(f"[{colour}]{figures.share_right:.1%} of {len(figures.compared)} fields are right[/]")
    print(json.dumps(figures.summary()), flush=True)
    sys.exit(0 if figures.share_right >= ENOUGH_RIGHT else 1)

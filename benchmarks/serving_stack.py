"""A stack with a trained model, its uploads and its predictions, as the serving benchmark uses them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.api_client import Caller, Callers
from benchmarks.bare_loop import POSTPROCESSING
from benchmarks.serving_documents import MOST_PAGES, Source
from benchmarks.serving_tagger import FIELD_CONFIG
from benchmarks.stacks import Stack, process_name, running_stack
from db.pool import connect
from pagemill.applications.training_artefacts import TrainingKeys, save_artefact
from pagemill.extraction.artefact import Artefact
from pagemill.ids import TrainingId, new_id
from pagemill.objects import open_objects

CONNECTIONS = 12
"""More than the replicas have places: some requests always wait."""
CLIENT = "the client"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A document of the stack."""

    document_id: str
    source: Source


@dataclass(frozen=True, slots=True)
class Served:
    """Pages and seconds of one run, processor seconds by the name of the process, and of each request."""

    pages: int
    seconds: float
    cpu_by_process: Mapping[str, float]
    latencies: Sequence[float]

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds of all processes."""
        return sum(self.cpu_by_process.values())


class ServingStack:
    """A stack with a model that has been trained."""

    def __init__(self, stack: Stack, artefact: Artefact) -> None:
        self.stack = stack
        self.callers = Callers(stack, CONNECTIONS)
        self.caller = Caller(stack)
        self.model_id = self._create_model(artefact)

    def upload(self, sources: Sequence[Source], dataset_id: str | None = None) -> Sequence[Uploaded]:
        """Upload files, each as a document of its own: its pages are read anew."""
        body = {} if dataset_id is None else {"datasetId": dataset_id}

        def upload(caller: Caller, source: Source) -> Uploaded:
            document_id: str = caller.send("POST", "/v1/documents", body)["documentId"]
            caller.put(f"/v1/files/{document_id}", source.path.read_bytes())
            return Uploaded(document_id, source)

        return self.callers.each(upload, sources)

    def predict(self, caller: Caller, document: Uploaded) -> float:
        """Predict and return the seconds from request to answer."""
        started = time.perf_counter()
        caller.send("POST", "/v1/predictions", {"documentId": document.document_id, "modelId": self.model_id})
        return time.perf_counter() - started

    def predict_all(self, documents: Sequence[Uploaded]) -> Served:
        """Predict each document once, with many connections."""
        before, own = self.cpu_seconds(), time.process_time()
        began = time.perf_counter()
        latencies = self.callers.each(self.predict, documents)
        seconds = time.perf_counter() - began
        used: Counter[str] = Counter({CLIENT: time.process_time() - own})
        for process, after in self.cpu_seconds().items():
            used[process_name(process)] += after - before.get(process, 0.0)
        pages = sum(document.source.pages for document in documents)
        return Served(pages, seconds, used, latencies)

    def cpu_seconds(self) -> Mapping[psutil.Process, float]:
        """Return the processor seconds of each process and of its children that have ended."""
        found = {}
        for process in self.stack.processes():
            with suppress(psutil.Error):
                times = process.cpu_times()
                found[process] = times.user + times.system + times.children_user + times.children_system
        return found

    def _create_model(self, artefact: Artefact) -> str:
        body = {
            "fieldConfig": FIELD_CONFIG,
            "preprocessConfig": {"maxPages": MOST_PAGES},
            "postprocessConfig": POSTPROCESSING,
        }
        model_id: str = self.caller.send("POST", "/v1/models", body)["modelId"]
        training_id = asyncio.run(self._store_training(model_id, artefact))
        self.caller.send("PATCH", f"/v1/models/{model_id}", {"trainingId": training_id})
        return model_id

    async def _store_training(self, model_id: str, artefact: Artefact) -> str:
        """Store a succeeded training, as if it had been made here."""
        organization_id, training_id = self.stack.directory.credentials().organization_id, new_id(TrainingId)
        key = TrainingKeys.of(organization_id, training_id).artefact
        objects = open_objects(self.stack.settings)
        await save_artefact(objects, key, artefact)
        await objects.close()
        connection = await connect(self.stack.settings.database_url)
        try:
            await connection.execute(
                "INSERT INTO training (organization_id, id, model_id, status, artefact_key)"
                " VALUES ($1, $2, $3, 'succeeded', $4)",
                organization_id,
                training_id,
                model_id,
                key,
            )
        finally:
            await connection.close()
        return training_id


@contextmanager
def serving_stack(artefact: Artefact, settings: Mapping[str, str]) -> Iterator[ServingStack]:
    """Run a stack with a trained model."""
    with running_stack(settings) as stack:
        serving = ServingStack(stack, artefact)
        try:
            yield serving
        finally:
            serving.callers.close()


def settings_of(serving: ServingStack) -> dict[str, Any]:
    """Return the settings that decide how much is served at a time."""
    settings = serving.stack.settings
    return {
        "readingReplicas": settings.reading_replicas_max,
        "predictionReplicasAtMost": settings.prediction_replicas_max,
        "readingCpus": settings.reading_cpus,
        "predictionConcurrency": settings.prediction_concurrency,
        "connections": CONNECTIONS,
    }

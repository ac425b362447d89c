"""Accuracy on real documents through the public API: labels in, a training, fields of other documents out.

python benchmarks/accuracy.py --data DIR [--only adbuy] [--out benchmarks/results/accuracy.json]

DIR holds a folder per corpus (documents and ground_truth.json) and score.py, which judges. Without LAS_* in
the environment, the benchmark starts a stack of its own, whose data stay in the work directory: documents are
uploaded and read once, later runs only train and predict again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import las

from benchmarks.document_issuers import shop_of, station_of
from benchmarks.machine import machine
from benchmarks.progress import console, progress_bar
from examples.local_stack import local_stack

TEST_SHARE = 5  # one document in five
UPLOAD_CONCURRENCY = 6
PREDICTION_CONCURRENCY = 4
POLL_SECONDS = 1.0
PREDICTION_POLL_SECONDS = 0.25
BUNDLE_SECONDS = 7200.0
TRAINING_SECONDS = 900.0
PREDICTION_SECONDS = 600.0
STACK_SETTINGS = {"PAGEMILL_TRAINING_BUDGET": "480"}
PREPROCESSING = {"maxPages": 30}
POSTPROCESSING = {"strategy": "BEST_N_PAGES", "parameters": {"n": 30, "collapse": True}}
UNFINISHED = ("pending", "preparing", "running", "running-final-evaluation", "waiting-for-approval")

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents of one kind: the fields to find, and the lowest score (mode, key) that passes.

    Documents of which ``unit`` says the same are on one side of the split. ``folder`` has the documents.
    """

    name: str
    field_config: Mapping[str, Any]
    gates: Mapping[tuple[str, str], float]
    folder: str
    unit: Callable[[Mapping[str, Any], Path], str]


def own_id(document: Mapping[str, Any], _folder: Path) -> str:
    """Return the id of a document, which makes the split one of documents."""
    return str(document["id"])


STRING, DATE, AMOUNT = {"type": "string"}, {"type": "date"}, {"type": "amount"}
ADBUY_FIELDS: Mapping[str, Any] = {
    "contract_num": STRING,
    "advertiser": STRING,
    "flight_from": DATE,
    "flight_to": DATE,
    "gross_amount": AMOUNT,
    "line_items": {
        "type": "lines",
        "fields": {
            "channel": STRING,
            "program_start_date": DATE,
            "program_end_date": DATE,
            "sub_amount": AMOUNT,
        },
    },
}
SROIE_FIELDS: Mapping[str, Any] = {"company": STRING, "date": DATE, "address": STRING, "total": AMOUNT}
ADBUY_GATES = {("norm", "micro"): 88.0, ("lines", "row_f1"): 88.0}
CORPORA = (
    Corpus("adbuy", ADBUY_FIELDS, ADBUY_GATES, "adbuy", own_id),
    Corpus("sroie", SROIE_FIELDS, {("norm", "micro"): 65.0, ("fuzzy", "micro"): 78.0}, "sroie", own_id),
    Corpus("adbuy-stations", ADBUY_FIELDS, {("norm", "micro"): 80.0}, "adbuy", station_of),
    Corpus("sroie-shops", SROIE_FIELDS, {("norm", "micro"): 65.0}, "sroie", shop_of),
)
"""The last two have issuers in the test part that no document of the training part is of."""


@dataclass(slots=True)
class Progressed:
    """Progress of earlier runs: ids by document, and the duration of the first reading."""

    dataset_id: str | None = None
    model_id: str | None = None
    training: dict[str, str] = field(default_factory=dict)
    test: dict[str, str] = field(default_factory=dict)
    reading_seconds: float | None = None


class StateFile:
    """Record of the work directory, written after each step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        content = json.loads(path.read_text()) if path.exists() else {}
        self._corpora = {name: Progressed(**values) for name, values in content.items()}

    def of(self, corpus: str) -> Progressed:
        """Return the part of one corpus."""
        return self._corpora.setdefault(corpus, Progressed())

    def forget(self, corpus: str) -> None:
        """Drop the record: the stack does not know what it names."""
        self._corpora.pop(corpus, None)

    def save(self) -> None:
        """Write the record, replacing the former one."""
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps({name: asdict(part) for name, part in self._corpora.items()}))
        temporary.replace(self.path)


def in_test_part(unit: str) -> bool:
    """Return whether a document, or all of an issuer, is in the test part: fixed by a hash of the name."""
    digest = hashlib.blake2b(unit.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % TEST_SHARE == 0


class CorpusRun:
    """One corpus from upload to score."""

    def __init__(
        self, client: las.Client, corpus: Corpus, data: Path, work: Path, state: StateFile, limit: int | None
    ) -> None:
        self.client, self.corpus, self.state, self.work = client, corpus, state, work
        self.folder, self.score = data / corpus.folder, data / "score.py"
        documents: list[Answer] = json.loads((self.folder / "ground_truth.json").read_text())
        is_test = [in_test_part(corpus.unit(item, self.folder)) for item in documents]
        self.training = [item for item, test in zip(documents, is_test, strict=True) if not test][:limit]
        self.test = [item for item, test in zip(documents, is_test, strict=True) if test][:limit]
        self.figures: Answer = {"trainingDocuments": len(self.training), "testDocuments": len(self.test)}

    def run(self) -> Answer:
        """Return the figures of the corpus."""
        self._upload()
        training_id = self._train(self._bundle())
        predictions = self._predict(training_id)
        scores = self._judge(predictions)
        self.figures["scores"] = scores
        self.figures["gates"] = {
            f"{mode}.{key}": {
                "least": least,
                "reached": scores[mode][key],
                "passed": scores[mode][key] >= least,
            }
            for (mode, key), least in self.corpus.gates.items()
        }
        return self.figures

    @property
    def part(self) -> Progressed:
        """Return the progress of this corpus."""
        return self.state.of(self.corpus.name)

    def _upload(self) -> None:
        self._check_known()
        if self.part.model_id is None:
            model = self.client.create_model(
                dict(self.corpus.field_config),
                name=self.corpus.name,
                preprocess_config=PREPROCESSING,
                postprocess_config=POSTPROCESSING,
            )
            self.part.dataset_id = self.client.create_dataset(name=self.corpus.name)["datasetId"]
            self.part.model_id = model["modelId"]
            self.state.save()
        self._upload_part("training", self.training, self.part.training, self.part.dataset_id)
        self._upload_part("test", self.test, self.part.test, None)

    def _check_known(self) -> None:
        """Start over when the stack does not have what was recorded."""
        if self.part.dataset_id is not None:
            try:
                self.client.get_dataset(self.part.dataset_id)
            except las.client.NotFound:
                self.state.forget(self.corpus.name)

    def _upload_part(
        self, name: str, documents: list[Answer], done: dict[str, str], dataset_id: str | None
    ) -> None:
        missing = [item for item in documents if item["id"] not in done]
        labelled = dataset_id is not None

        def create(item: Answer) -> tuple[str, str]:
            options = {"dataset_id": dataset_id, "ground_truth": item["groundTruth"]} if labelled else {}
            content = (self.folder / item["file"]).read_bytes()
            answer = self.client.create_document(content, metadata={"id": item["id"]}, **options)
            return item["id"], answer["documentId"]

        with (
            ThreadPoolExecutor(UPLOAD_CONCURRENCY) as threads,
            progress_bar(f"{self.corpus.name}: uploading the {name} part", len(missing)) as advance,
        ):
            try:
                for name_of_document, document_id in threads.map(create, missing):
                    done[name_of_document] = document_id
                    advance()
            finally:
                self.state.save()

    def _bundle(self) -> str:
        """Bundle the training part; the first bundle reads all its pages."""
        started = time.monotonic()
        bundle = self.client.create_data_bundle(self.part.model_id, [self.part.dataset_id])
        bundle_id: str = bundle["dataBundleId"]
        self._follow(
            "reading", BUNDLE_SECONDS, lambda: self.client.get_data_bundle(self.part.model_id, bundle_id)
        )
        seconds = time.monotonic() - started
        if self.part.reading_seconds is None:
            self.part.reading_seconds = round(seconds, 1)
            self.state.save()
        pages = sum(item["pages"] for item in self.training)
        self.figures["reading"] = {
            "seconds": self.part.reading_seconds,
            "pages": pages,
            "pagesPerSecond": round(pages / max(self.part.reading_seconds, 1e-9), 2),
            "secondsThisRun": round(seconds, 1),
        }
        return bundle_id

    def _train(self, bundle_id: str) -> str:
        started = time.monotonic()
        training = self.client.create_training(self.part.model_id, [bundle_id])
        training_id: str = training["trainingId"]
        ended = self._follow(
            "training", TRAINING_SECONDS, lambda: self.client.get_training(self.part.model_id, training_id)
        )
        self.figures["training"] = {
            "seconds": round(time.monotonic() - started, 1),
            "evaluation": ended["evaluation"],
        }
        self.client.update_model(self.part.model_id, trainingId=training_id)
        return training_id

    def _follow(self, name: str, seconds: float, read: Callable[[], Answer]) -> Answer:
        deadline = time.monotonic() + seconds
        with progress_bar(f"{self.corpus.name}: {name}", None) as advance:
            while (answer := read())["status"] in UNFINISHED:
                advance(f"{self.corpus.name}: {name}, {answer['status']}")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{name} is still {answer['status']} after {seconds:g} s")
                time.sleep(POLL_SECONDS)
        if answer["status"] != "succeeded":
            raise RuntimeError(f"{name} ended {answer['status']}: {json.dumps(answer)[:2000]}")
        return answer

    def _predict(self, training_id: str) -> dict[str, list[Answer]]:
        """Return the predictions of the test part by the corpus' ids. A failed one has no fields."""
        predictions: dict[str, list[Answer]] = {}
        latencies: list[float] = []
        failed: dict[str, str] = {}
        started = time.monotonic()
        with (
            ThreadPoolExecutor(PREDICTION_CONCURRENCY) as threads,
            progress_bar(f"{self.corpus.name}: predicting", len(self.test)) as advance,
        ):
            answers: Iterable[tuple[Answer, float]] = threads.map(
                lambda item: self._predict_one(self.part.test[item["id"]], training_id), self.test
            )
            for item, (answer, seconds) in zip(self.test, answers, strict=True):
                predictions[item["id"]] = answer["predictions"] or []
                latencies.append(seconds)
                if answer["status"] != "succeeded":
                    failed[item["id"]] = str(answer.get("error"))
                advance()
        elapsed = time.monotonic() - started
        pages = sum(item["pages"] for item in self.test)
        self.figures["predictions"] = {
            "seconds": round(elapsed, 1),
            "pages": pages,
            "pagesPerSecond": round(pages / elapsed, 2),
            "secondsMedian": round(statistics.median(latencies), 2),
            "failed": failed,
        }
        return predictions

    def _predict_one(self, document_id: str, training_id: str) -> tuple[Answer, float]:
        started = time.monotonic()
        answer = self.client.create_prediction(
            document_id, self.part.model_id, training_id=training_id, run_async=True
        )
        while answer["status"] in UNFINISHED and time.monotonic() - started < PREDICTION_SECONDS:
            time.sleep(PREDICTION_POLL_SECONDS)
            answer = self.client.get_prediction(answer["predictionId"])
        return answer, time.monotonic() - started

    def _judge(self, predictions: dict[str, list[Answer]]) -> Answer:
        truth_file = self.work / f"{self.corpus.name}-ground_truth.json"
        predictions_file = self.work / f"{self.corpus.name}-predictions.json"
        truth_file.write_text(json.dumps(self.test))
        predictions_file.write_text(json.dumps(predictions))
        done = subprocess.run(
            [sys.executable, str(self.score), str(truth_file), str(predictions_file)],
            capture_output=True,
            text=True,
            check=True,
        )
        scores: Answer = json.loads(done.stdout)
        return scores


@contextmanager
def reachable_stack(work: Path) -> Iterator[None]:
    """Return the stack that LAS_* name, or one of our own whose data stay in the work directory."""
    if os.environ.get("LAS_API_ENDPOINT"):
        yield
        return
    with local_stack(
        work / "stack", settings=STACK_SETTINGS | dict(os.environ), on_line=console.print
    ) as stack:
        os.environ.update(stack.environment)
        yield


def main() -> None:
    """Run the chosen corpora, write the figures; exit 1 when a gate is not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/accuracy.json"))
    parser.add_argument("--work-dir", type=Path, default=Path(".pagemill-bench"))
    parser.add_argument("--only", choices=[corpus.name for corpus in CORPORA])
    parser.add_argument("--limit", type=int, help="at most so many documents per part, for a quick try")
    arguments = parser.parse_args()
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    state = StateFile(arguments.work_dir / "state.json")
    figures = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"corpora": {}}
    with reachable_stack(arguments.work_dir):
        client = las.Client()
        for corpus in CORPORA:
            if arguments.only in (None, corpus.name):
                run = CorpusRun(client, corpus, arguments.data, arguments.work_dir, state, arguments.limit)
                figures["corpora"][corpus.name] = run.run() | {"machine": machine()}
    figures = {
        "benchmark": "accuracy",
        "split": f"1 in {TEST_SHARE} by hash, of documents, shops or stations",
        **figures,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps({name: part["gates"] for name, part in figures["corpora"].items()}, indent=2))
    passed = (gate["passed"] for part in figures["corpora"].values() for gate in part["gates"].values())
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()

"""A trained artefact for benchmarks of serving: trained in a minute on real labels, kept in a directory."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.accuracy import CORPORA
from benchmarks.serving_documents import Source, text_documents
from pagemill.applications.training_artefacts import CONFIGURATION_FILE, WEIGHTS_FILE
from pagemill.extraction.artefact import Artefact
from pagemill.extraction.reading import PageReader
from pagemill.extraction.tagger_training import TaggerTrainer, TrainingOptions, prepare
from pagemill.extraction.types import Example, ReadOptions

DOCUMENTS = 40
EPOCHS = 12
"""The size of the network is that of every training; what it learns costs nothing to serve."""
FIELD_CONFIG: dict[str, Any] = dict(next(corpus for corpus in CORPORA if corpus.name == "adbuy").field_config)


def trained_artefact(data: Path, work: Path) -> Artefact:
    """Return the artefact that is kept in ``work``; train it the first time, in a process of its own."""
    weights, configuration = work / WEIGHTS_FILE, work / CONFIGURATION_FILE
    if not configuration.exists():
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            artefact = pool.submit(_train, data, text_documents(data)[:DOCUMENTS]).result()
        weights.write_bytes(artefact.weights)
        configuration.write_bytes(artefact.configuration)
    return Artefact(weights=weights.read_bytes(), configuration=configuration.read_bytes())


def _train(data: Path, sources: Sequence[Source]) -> Artefact:
    truth = {
        item["file"]: item["groundTruth"]
        for item in json.loads((data / "adbuy" / "ground_truth.json").read_text())
    }
    with PageReader() as reader:
        examples = [
            Example(
                source.path.name,
                reader.read(source.path.read_bytes(), range(source.pages), ReadOptions()).pages,
                truth[source.path.name],
            )
            for source in sources
        ]
    options = TrainingOptions(maximum_epochs=EPOCHS, minimum_steps=1)
    trainer = TaggerTrainer(prepare(examples, FIELD_CONFIG, options), options, clock=time.monotonic)
    epoch = 0
    trainer.run_epoch(epoch)
    while not trainer.done(epoch):
        epoch += 1
        trainer.run_epoch(epoch)
    return trainer.finish().artefact

"""Prediction of fields with a trained artefact."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import torch
from safetensors.torch import load

from pagemill.extraction.artefact import Artefact
from pagemill.extraction.inference import SheetReader
from pagemill.extraction.network import Tagger
from pagemill.extraction.sheets import read_sheet
from pagemill.extraction.tagger_configuration import TaggerConfiguration
from pagemill.extraction.types import Extracted, Page


class FieldPredictor:
    """Predictor of fields, for many documents at a time."""

    def __init__(self, reader: SheetReader) -> None:
        self._reader = reader

    @classmethod
    def load(cls, artefact: Artefact, device: str = "cpu") -> FieldPredictor:
        """Return the predictor of an artefact."""
        configuration = msgspec.json.decode(artefact.configuration, type=TaggerConfiguration)
        network = Tagger(configuration.shape)
        network.load_state_dict(load(artefact.weights))
        place = torch.device(device)
        return cls(SheetReader(network.to(place).eval(), configuration, place))

    def predict(self, documents: Sequence[Sequence[Page]]) -> list[list[Extracted]]:
        """Return for each document the best candidate of every label on each page, and its lines.

        Lines are read over all pages. A label that is found on no page has one field without a value.
        """
        return self._reader.read([read_sheet(pages) for pages in documents])

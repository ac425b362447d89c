"""Prediction of fields with a trained artefact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file

from pagemill.errors import ModelDamaged, ModelTooNew
from pagemill.extraction.artefact import Artefact
from pagemill.extraction.inference import SheetReader
from pagemill.extraction.network import Tagger
from pagemill.extraction.sheets import read_sheet
from pagemill.extraction.tagger_configuration import FORMAT, TaggerConfiguration
from pagemill.extraction.types import Extracted, Page, Word

FIXED_BYTES = 100_000
"""Memory of a network besides its weights: 71 kB were measured, of 50 networks that share a file."""
WARM_UP = Page(0, 0.7, "text", [Word("Total", 0.1, 0.1, 0.2, 0.12), Word("1.00", 0.3, 0.1, 0.4, 0.12)])


class _Format(msgspec.Struct):
    """The member of a configuration that says which release can read the others."""

    format: int = FORMAT


class FieldPredictor:
    """Predictor of fields, for many documents at a time; ``size`` is what it holds in bytes."""

    def __init__(self, reader: SheetReader, *, size: int) -> None:
        self._reader = reader
        self.size = size

    @classmethod
    def load(cls, artefact: Artefact, device: str = "cpu") -> FieldPredictor:
        """Return the predictor of an artefact. Raises ModelDamaged, ModelTooNew."""
        configuration = _decode(artefact.configuration)
        try:
            weights = load(artefact.weights)
        except SafetensorError as error:
            raise damaged(error) from error
        return cls._assemble(configuration, weights, len(artefact.configuration), device)

    @classmethod
    def load_file(cls, weights: Path, configuration: bytes, device: str = "cpu") -> FieldPredictor:
        """Return the predictor of an artefact whose weights are a file.

        On the CPU the weights are the pages of the file: predictors in other processes share them. Raises
        ModelDamaged, ModelTooNew.
        """
        decoded = _decode(configuration)
        try:
            loaded = load_file(weights)
        except SafetensorError as error:
            raise damaged(error) from error
        return cls._assemble(decoded, loaded, len(configuration), device)

    @classmethod
    def _assemble(
        cls,
        configuration: TaggerConfiguration,
        weights: Mapping[str, torch.Tensor],
        configuration_size: int,
        device: str,
    ) -> FieldPredictor:
        place = torch.device(device)
        try:
            # Nothing is initialised that is overwritten at once.
            with torch.device("meta"):
                network = Tagger(configuration.shape)
            network.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise damaged(error) from error
        network = network.to(place).eval()
        held = sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))
        size = held + configuration_size + FIXED_BYTES
        return cls(SheetReader(network, configuration, place), size=size)

    def predict(self, documents: Sequence[Sequence[Page]]) -> list[list[Extracted]]:
        """Return for each document the best candidate of every label on each page, and its lines.

        Lines are read over all pages. A label that is found on no page has one field without a value.
        """
        return self._reader.read([read_sheet(pages) for pages in documents])

    def warm_up(self) -> None:
        """Predict once, so that the first document takes no longer than others."""
        self.predict([[WARM_UP]])


def damaged(error: Exception) -> ModelDamaged:
    """Return the error of an artefact that is not what a training wrote."""
    return ModelDamaged("The training's weights are damaged", detail=str(error)[:300])


def _decode(configuration: bytes) -> TaggerConfiguration:
    try:
        if msgspec.json.decode(configuration, type=_Format).format > FORMAT:
            raise ModelTooNew("The training's weights are of a later release")
        return msgspec.json.decode(configuration, type=TaggerConfiguration)
    except msgspec.MsgspecError as error:
        raise damaged(error) from error

"""What another training learned is taken over where it means the same."""

from __future__ import annotations

from typing import Any

import msgspec
import torch
from safetensors.torch import save

from pagemill.extraction.artefact import Artefact
from pagemill.extraction.network import Tagger
from pagemill.extraction.tagger_configuration import (
    NetworkShape,
    TaggerConfiguration,
    number_of_outputs,
    split_fields,
)
from pagemill.extraction.warm_start import borrow_weights

TOTAL, NAME = {"type": "amount"}, {"type": "string"}
ITEMS = {"type": "lines", "fields": {"price": TOTAL}}
TAXES = {"type": "lines", "fields": {"rate": TOTAL, "sum": TOTAL}}


def configured(config: dict[str, Any], hidden: int = 8) -> TaggerConfiguration:
    fields, lines = split_fields(config)
    shape = NetworkShape(number_of_outputs(fields, lines), len(fields), 4, hidden, 6, 1)
    return TaggerConfiguration(shape, fields, lines, {}, {})


def other(config: dict[str, Any], hidden: int = 8) -> tuple[Tagger, Artefact]:
    configuration = configured(config, hidden)
    network = Tagger(configuration.shape)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    return network, Artefact(save(weights), msgspec.json.encode(configuration))


def test_labels_are_matched_by_name() -> None:
    theirs, artefact = other({"name": NAME, "total": TOTAL, "items": ITEMS, "taxes": TAXES})
    changed = {"type": "lines", "fields": {"sum": TOTAL, "rate": TOTAL}}
    configuration = configured({"total": TOTAL, "new": NAME, "taxes": changed, "items": ITEMS})
    own = Tagger(configuration.shape)
    drawn = own.leave.weight.detach().clone()
    borrow_weights(own, configuration, artefact)
    leave = own.leave.weight
    torch.testing.assert_close(leave[0:3], theirs.leave.weight[3:6])
    torch.testing.assert_close(leave[3:6], drawn[3:6])
    torch.testing.assert_close(leave[configuration.line_outputs("items")], theirs.leave.weight[6:10])
    torch.testing.assert_close(leave[6:12], drawn[6:12])
    torch.testing.assert_close(own.words.weight, theirs.words.weight)


def test_another_shape_gives_what_fits() -> None:
    theirs, artefact = other({"total": TOTAL}, hidden=16)
    configuration = configured({"total": TOTAL})
    own = Tagger(configuration.shape)
    drawn = own.leave.weight.detach().clone()
    borrow_weights(own, configuration, artefact)
    torch.testing.assert_close(own.words.weight, theirs.words.weight)
    torch.testing.assert_close(own.leave.weight, drawn)

"""Warm start: initial weights taken from another training."""

from __future__ import annotations

import msgspec
import torch
from safetensors.torch import load

from pagemill.extraction.artefact import Artefact
from pagemill.extraction.network import Tagger
from pagemill.extraction.tagger_configuration import OUTPUTS_PER_LABEL, TaggerConfiguration


def _output_rows(own: TaggerConfiguration, other: TaggerConfiguration) -> list[tuple[slice, slice]]:
    """Return outputs that mean the same in both: labels by name, lines fields with the same columns."""
    pairs = []
    theirs = list(other.fields)
    for index, label in enumerate(own.fields):
        if label in theirs:
            at = theirs.index(label) * OUTPUTS_PER_LABEL
            begin = index * OUTPUTS_PER_LABEL
            pairs.append((slice(begin, begin + OUTPUTS_PER_LABEL), slice(at, at + OUTPUTS_PER_LABEL)))
    for label, columns in own.lines.items():
        if label in other.lines and list(other.lines[label]) == list(columns):
            pairs.append((own.line_outputs(label), other.line_outputs(label)))
    for label, choices in own.classified.items():
        if other.classified.get(label) == choices:
            pairs.append((own.choice_outputs(label), other.choice_outputs(label)))
    return pairs


@torch.no_grad()
def borrow_weights(network: Tagger, configuration: TaggerConfiguration, artefact: Artefact) -> None:
    """Copy into ``network`` all weights of ``artefact`` that fit it; the rest keeps its initial values."""
    other = msgspec.json.decode(artefact.configuration, type=TaggerConfiguration)
    weights = load(artefact.weights)
    for name, value in network.state_dict().items():
        if name.startswith(("leave.", "length_bias")):
            continue
        if name in weights and weights[name].shape == value.shape:
            value.copy_(weights[name])
    if other.shape.hidden != configuration.shape.hidden:
        return
    for own_rows, their_rows in _output_rows(configuration, other):
        network.leave.weight[own_rows] = weights["leave.weight"][their_rows]
        network.leave.bias[own_rows] = weights["leave.bias"][their_rows]

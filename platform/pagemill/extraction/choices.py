"""Classification of documents: choices of enum fields that are not, or not always, printed as they are named.

Each token gives scores for the choices, for "nothing", and for its own say. The scores of a document are the
mean of those of its tokens, weighted by their say: one place can decide, or the whole document.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pagemill.extraction.decoding import fold
from pagemill.extraction.sheets import Batch, Sheet
from pagemill.extraction.tagger_configuration import TaggerConfiguration
from pagemill.extraction.types import Field

SAY = 0
NOTHING = 0
"""Positions of a token's say among its outputs, and of "nothing" among the scores."""
SMALLEST_TOTAL = 1e-30


class Choice(NamedTuple):
    """A document's likeliest choice, None for nothing, its probability, and the place of its page."""

    value: str | None
    probability: float
    place: int


def _say(scores: Tensor, sheets: Tensor, count: int) -> Tensor:
    """Return the share of each token in its document's scores."""
    highest = scores.new_full((count,), -1e4).scatter_reduce(0, sheets, scores.detach(), "amax")
    shares = torch.exp(scores - highest.index_select(0, sheets))
    totals = shares.new_zeros(count).index_add(0, sheets, shares).clamp(min=SMALLEST_TOTAL)
    return shares / totals.index_select(0, sheets)


def _sheet_of_tokens(batch: Batch, device: torch.device) -> Tensor:
    sizes = torch.tensor([sheet.size for sheet in batch.sheets])
    return torch.repeat_interleave(torch.arange(len(batch.sheets)), sizes).to(device)


def _document_scores(
    emissions: Tensor, batch: Batch, label: str, configuration: TaggerConfiguration
) -> tuple[Tensor, Tensor]:
    """Return the scores of each document (documents x choices and nothing), and the say of each token."""
    part = emissions[:, configuration.choice_outputs(label)]
    sheets = _sheet_of_tokens(batch, emissions.device)
    say = _say(part[:, SAY], sheets, len(batch.sheets))
    scores = part.new_zeros(len(batch.sheets), part.shape[1] - 1)
    return scores.index_add(0, sheets, say.unsqueeze(1) * part[:, SAY + 1 :]), say


def choice_loss(emissions: Tensor, batch: Batch, label: str, configuration: TaggerConfiguration) -> Tensor:
    """Return the loss of a classified field over the documents of a batch that have it in their labels."""
    places = {choice: 1 + place for place, choice in enumerate(configuration.classified[label])}
    taught = [
        (number, NOTHING if choice is None else places[choice])
        for number, sheet in enumerate(batch.sheets)
        if sheet.size and label in sheet.targets.choices
        if (choice := sheet.targets.choices[label]) is None or choice in places
    ]
    if not taught:
        return emissions.new_zeros(())
    scores, _ = _document_scores(emissions, batch, label, configuration)
    numbers, classes = (torch.tensor(column, device=emissions.device) for column in zip(*taught, strict=True))
    return nn.functional.cross_entropy(scores[numbers], classes, reduction="sum")


def read_choices(
    emissions: Tensor, batch: Batch, label: str, configuration: TaggerConfiguration
) -> list[Choice]:
    """Return the choice of each document of a batch."""
    scores, say = _document_scores(emissions, batch, label, configuration)
    probabilities, best = scores.softmax(dim=1).cpu().max(dim=1)
    choices = [None, *configuration.classified[label]]
    pages = torch.zeros(len(batch.offsets)).index_add(0, batch.table.pages.cpu(), say.cpu())
    places = [(0.0, 0)] * len(batch.sheets)
    for page, (number, place, _) in enumerate(batch.offsets):
        places[number] = max(places[number], (float(pages[page]), place), key=lambda pair: pair[0])
    return [
        Choice(choices[choice], probability, place)
        for choice, probability, (_, place) in zip(best.tolist(), probabilities.tolist(), places, strict=True)
    ]


def choice_field(label: str, sheet: Sheet, choice: Choice, definition: dict[str, object]) -> Field:
    """Return a choice as a field: where it is printed, when it is, else with its page only."""
    if choice.value is None:
        return Field(label, None, choice.probability)
    layout = sheet.pages[choice.place].layout
    spans = sheet.pages[choice.place].spans(definition)
    for start, end in spans.pairs() if spans is not None else []:
        raw = layout.text(start, end)
        if fold(raw) == fold(choice.value):
            box = layout.box(start, end)
            return Field(label, choice.value, choice.probability, raw, layout.page, box)
    return Field(label, choice.value, choice.probability, None, layout.page)

"""Loss functions of the training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pagemill.extraction.choices import choice_loss
from pagemill.extraction.field_options import is_multivalue
from pagemill.extraction.sheets import Batch, SpanTable, span_scores, span_table
from pagemill.extraction.tagger_configuration import TaggerConfiguration

ABSENT_PAGE_WEIGHT = 0.3
ROW_START_WEIGHT = 0.5
ROWS_WEIGHT = 2.0


def grouped_logsumexp(values: Tensor, groups: Tensor, count: int, floor: float | None = 0.0) -> Tensor:
    """Return log(sum(exp)) by group; ``floor`` is the score of "nothing", a member of every group."""
    lowest = -1e4 if floor is None else floor
    highest = values.new_full((count,), lowest).scatter_reduce(0, groups, values.detach(), "amax")
    total = values.new_zeros(count).index_add(0, groups, torch.exp(values - highest.index_select(0, groups)))
    if floor is not None:
        total = total + torch.exp(floor - highest)
    return highest + torch.log(total.clamp(min=1e-30))


def _grouped_logsumexp_of_found(values: Tensor, groups: Tensor, count: int) -> Tensor:
    return grouped_logsumexp(values, groups, count, None)


def _grouped_mean(values: Tensor, groups: Tensor, count: int) -> Tensor:
    sums = values.new_zeros(count).index_add(0, groups, values)
    return sums / values.new_zeros(count).index_add(0, groups, torch.ones_like(values)).clamp(min=1)


def _label_loss(
    scores: Tensor,
    spans: SpanTable,
    taught: Tensor,
    filled: Tensor,
    pages: int,
    page_sheets: Tensor,
    *,
    several: bool = False,
) -> Tensor:
    """Return the loss of one label's spans.

    All occurrences of the value together compete with every other span of the document and with "nothing"
    (multi- instance learning). Pages of the document on which the value does not occur learn that there is
    nothing to find. Where a field can have ``several`` values, each occurrence has to be as likely as others.
    """
    sheets = spans.sheets.to(scores.device)
    page = spans.pages.to(scores.device)
    positive = spans.positive.to(scores.device)
    everything = grouped_logsumexp(scores, sheets, len(taught))
    combine = _grouped_mean if several else _grouped_logsumexp_of_found
    wanted = combine(scores[positive], sheets[positive], len(taught))
    losses = everything - torch.where(filled, wanted, torch.zeros_like(wanted))
    on_page = grouped_logsumexp(scores, page, pages)
    occurs = torch.zeros(pages, dtype=torch.bool, device=scores.device)
    occurs[page[positive]] = True
    silent = taught.index_select(0, page_sheets) & filled.index_select(0, page_sheets) & ~occurs
    return (losses * taught).sum() + ABSENT_PAGE_WEIGHT * (on_page * silent).sum()


def _rows_loss(emissions: Tensor, batch: Batch, label: str, configuration: TaggerConfiguration) -> Tensor:
    device = emissions.device
    part = emissions[:, configuration.line_outputs(label)]
    loss = emissions.new_zeros(())
    for number, place, begin in batch.offsets:
        rows = batch.sheets[number].targets.rows.get(label)
        if rows is None or not len(rows[place][0]):
            continue
        classes = torch.from_numpy(rows[place][0]).to(device)
        starts = torch.from_numpy(rows[place][1]).to(device)
        scores = part[begin : begin + len(classes)]
        inside = classes > 0
        size = inside.sum() + 10.0
        loss = loss + nn.functional.cross_entropy(scores[:, 1:], classes, reduction="sum") / size
        if bool(inside.any()):
            start = nn.functional.binary_cross_entropy_with_logits(
                scores[inside, 0], starts[inside], reduction="sum"
            )
            loss = loss + ROW_START_WEIGHT * start / size
    return loss


def batch_loss(
    emissions: Tensor, length_bias: Tensor, batch: Batch, configuration: TaggerConfiguration
) -> Tensor:
    """Return the loss of a batch, per document."""
    device = emissions.device
    # Every parameter takes part in every step, whatever the batch teaches: workers reduce all gradients.
    loss = 0.0 * (emissions.sum() + length_bias.sum())
    page_sheets = torch.tensor([number for number, _, _ in batch.offsets], device=device, dtype=torch.long)
    for label in configuration.classified:
        loss = loss + choice_loss(emissions, batch, label, configuration)
    for index, label in enumerate(configuration.fields):
        if label in configuration.classified:
            continue
        known = [sheet.targets.positives.get(label) for sheet in batch.sheets]
        if all(positives is None for positives in known):
            continue
        spans = span_table(batch, label, configuration)
        scores = span_scores(emissions, length_bias, spans, index)
        taught = torch.tensor([positives is not None for positives in known], device=device)
        filled = torch.tensor([bool(positives) for positives in known], device=device)
        several = is_multivalue(configuration.fields[label])
        loss = loss + _label_loss(
            scores, spans, taught, filled, len(batch.offsets), page_sheets, several=several
        )
    for label in configuration.lines:
        loss = loss + ROWS_WEIGHT * _rows_loss(emissions, batch, label, configuration)
    return loss / len(batch.sheets)

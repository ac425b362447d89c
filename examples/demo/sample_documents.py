"""Labelled sample documents, always the same: invoices and receipts as PDF, JPEG, PNG and TIFF."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from examples.demo.drawing import Sheet, encode_images, to_pdf, to_scan
from examples.demo.facts import Facts, invent
from examples.demo.templates import TEMPLATES, Template

CURRENCIES = ["EUR", "GBP", "NOK", "USD"]
FIELD_CONFIG: dict[str, dict[str, Any]] = {
    "supplier": {"type": "string"},
    "customer": {"type": "string"},
    "number": {"type": "string"},
    "issue_date": {"type": "date"},
    "due_date": {"type": "date"},
    "currency": {"type": "enum", "enum": CURRENCIES},
    "net": {"type": "amount"},
    "tax": {"type": "amount"},
    "total": {"type": "amount"},
    "items": {
        "type": "lines",
        "fields": {
            "description": {"type": "string"},
            "quantity": {"type": "numeric"},
            "amount": {"type": "amount"},
        },
    },
}
SCANS_EVERY = 3
SHEET_RESOLUTION = 150
RECEIPT_RESOLUTION = 200
RECEIPT_WIDTH = 300.0

GroundTruth = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SampleDocument:
    """Bytes of a document and its truth; a label that it does not print has the value None."""

    name: str
    content: bytes
    content_type: str
    number_of_pages: int
    ground_truth: GroundTruth


def sample_documents(count: int, *, seed: int, scans_every: int = SCANS_EVERY) -> list[SampleDocument]:
    """Return ``count`` documents over all templates; every ``scans_every``-th is a scan (0: none)."""
    return [_document(position, seed, scans_every) for position in range(count)]


def _document(position: int, seed: int, scans_every: int) -> SampleDocument:
    template = TEMPLATES[position % len(TEMPLATES)]
    round_of_templates = position // len(TEMPLATES)
    chance = random.Random(f"{seed}:{position}")
    facts = invent(chance, currency=template.currency, rows=template.rows)
    sheets = template.draw(facts)
    scanned = bool(scans_every) and (position + round_of_templates) % scans_every == 0
    content_type = _scan_type(sheets, round_of_templates) if scanned else "application/pdf"
    suffix = content_type.rpartition("/")[2]
    return SampleDocument(
        name=f"{seed}-{position:03d}-{template.name}.{suffix}",
        content=_scan(sheets, content_type, chance) if scanned else to_pdf(sheets),
        content_type=content_type,
        number_of_pages=len(sheets),
        ground_truth=ground_truth(facts, template),
    )


def _scan_type(sheets: list[Sheet], round_of_templates: int) -> str:
    if len(sheets) > 1:
        return "image/tiff"
    return ("image/jpeg", "image/png")[round_of_templates % 2]


def _scan(sheets: list[Sheet], content_type: str, chance: random.Random) -> bytes:
    images = [
        to_scan(
            sheet,
            dots_per_inch=RECEIPT_RESOLUTION if sheet.width < RECEIPT_WIDTH else SHEET_RESOLUTION,
            chance=chance,
        )
        for sheet in sheets
    ]
    return encode_images(images, content_type)


def ground_truth(facts: Facts, template: Template) -> GroundTruth:
    """Return the API's groundTruth of a document: every label once, rows as lists of cells."""
    values: dict[str, Any] = {
        "supplier": facts.supplier.name,
        "customer": facts.customer.name,
        "number": facts.number,
        "issue_date": facts.issued.isoformat(),
        "due_date": facts.due.isoformat(),
        "currency": facts.currency,
        "net": f"{facts.net:.2f}",
        "tax": f"{facts.tax:.2f}",
        "total": f"{facts.total:.2f}",
    }
    truth: GroundTruth = [
        {"label": label, "value": value if label in template.labels else None}
        for label, value in values.items()
    ]
    if "items" in template.labels:
        rows = [
            [
                {"label": "description", "value": item.description},
                {"label": "quantity", "value": str(item.quantity)},
                {"label": "amount", "value": f"{item.amount:.2f}"},
            ]
            for item in facts.items
        ]
        truth.append({"label": "items", "value": rows})
    return truth

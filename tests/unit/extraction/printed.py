"""Pages that are printed with the words of the tests, and labelled invoices to learn from."""

from __future__ import annotations

import random
from typing import Any

from pagemill.extraction.types import Example, Page, Word

CHARACTER = 0.012
LINE = 0.03
INVOICES: dict[str, dict[str, Any]] = {
    "number": {"type": "string"},
    "issued": {"type": "date"},
    "total": {"type": "amount"},
    "items": {
        "type": "lines",
        "fields": {"product": {"type": "string"}, "price": {"type": "amount"}},
    },
}
PRODUCTS = ("Apples", "Green tea", "Oak table", "Lamp", "Blue chair", "Paper")


def page_of(*lines: str, index: int = 0, x: float = 0.05, y: float = 0.05) -> Page:
    """One word after the other, lines one below the other; two spaces in a row leave a wide gap."""
    words = []
    for number, line in enumerate(lines):
        top = y + number * LINE
        begin = 0
        for text in line.split(" "):
            if text:
                left = x + begin * CHARACTER
                words.append(Word(text, left, top, left + len(text) * CHARACTER, top + 0.02))
            begin += len(text) + 1
    return Page(index, 0.7, "text", words)


def invoice(number: int, seed: int = 0) -> Example:
    """A page with a number, a date, one to three rows and a total, in one of two arrangements."""
    chance = random.Random(f"{seed}:{number}")
    name = f"{chance.choice(['A', 'B'])}-{chance.randrange(10_000, 99_999)}"
    year, month, day = 2020 + chance.randrange(4), chance.randrange(1, 13), chance.randrange(1, 29)
    rows = [
        (chance.choice(PRODUCTS), f"{chance.randrange(1, 90)}.{chance.randrange(10, 99)}")
        for _ in range(chance.randrange(1, 4))
    ]
    total = f"{sum(float(price) for _, price in rows) + 100:.2f}"
    dated = f"{day:02}/{month:02}/{year}"
    head = [f"Invoice number: {name}", f"Date {dated}"]
    if number % 2:
        head.reverse()
    body = [f"{product:<20}{price:>8}" for product, price in rows]
    due = f"Due {day:02}/{month:02}/{year + 1}"
    page = page_of("Northwind Trading", *head, due, "Product             Price", *body, f"Total due  {total}")
    truth: list[dict[str, Any]] = [
        {"label": "number", "value": name},
        {"label": "issued", "value": f"{year}-{month:02}-{day:02}"},
        {"label": "total", "value": total, "pages": [0]},
        {
            "label": "items",
            "value": [
                [{"label": "product", "value": product}, {"label": "price", "value": price}]
                for product, price in rows
            ],
        },
    ]
    return Example(f"invoice-{seed}-{number}", [page], truth)


def invoices(count: int, seed: int = 0) -> list[Example]:
    """``count`` of them, the same ones every time."""
    return [invoice(number, seed) for number in range(count)]

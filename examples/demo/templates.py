"""Layouts of different companies for the same facts. Each template returns its pages."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from examples.demo.drawing import Sheet
from examples.demo.facts import Facts, Item, Party

ROWS_ON_FIRST_PAGE = 22
ROW_HEIGHT = 20.0


@dataclass(frozen=True, slots=True)
class Template:
    """A layout, the facts that it prints, and the number and date formats of its country."""

    name: str
    draw: Callable[[Facts], list[Sheet]]
    currency: str
    rows: tuple[int, int]
    labels: frozenset[str]


def european(amount: Decimal) -> str:
    """Format a number as 1.234,50."""
    return f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


def english(amount: Decimal) -> str:
    """Format a number as 1,234.50."""
    return f"{amount:,.2f}"


def spaced(amount: Decimal) -> str:
    """Format a number as 1 234,50."""
    return f"{amount:,.2f}".replace(",", " ").replace(".", ",")


def in_words(day: datetime.date) -> str:
    """Format a date as March 5, 2024."""
    return f"{day:%B} {day.day}, {day.year}"


def _address(sheet: Sheet, x: float, y: float, party: Party, *, size: float = 9.0) -> None:
    sheet.write(x, y, party.name, size=size, bold=True)
    sheet.write(x, y + 13, party.street, size=size)
    sheet.write(x, y + 26, party.town, size=size)


def _pairs(
    sheet: Sheet, x: float, y: float, pairs: Sequence[tuple[str, str]], *, gap: float, step: float = 15.0
) -> float:
    for name, value in pairs:
        sheet.write(x, y, name, grey=70)
        sheet.write(x + gap, y, value)
        y += step
    return y


def classic(facts: Facts) -> list[Sheet]:
    """Lay out labels left of their values, a table, and the sums at its foot."""
    sheet = Sheet()
    _address(sheet, 50, 60, facts.supplier, size=11)
    sheet.write(545, 70, "INVOICE", size=20, bold=True, align="right")
    sheet.write(50, 150, "Bill to", grey=90)
    _address(sheet, 50, 165, facts.customer)
    pairs = [
        ("Invoice number", facts.number),
        ("Invoice date", f"{facts.issued:%d.%m.%Y}"),
        ("Order number", facts.order_number),
        ("Delivery date", f"{facts.delivered:%d.%m.%Y}"),
        ("Due date", f"{facts.due:%d.%m.%Y}"),
        ("Currency", facts.currency),
    ]
    _pairs(sheet, 340, 150, pairs, gap=105)
    columns = [(50.0, "Description"), (340.0, "Quantity"), (440.0, "Unit price"), (545.0, "Amount")]
    y = _table(sheet, 270, columns, facts.items, european)
    sheet.rule(340, y, 205)
    sums = [("Subtotal", facts.net), (f"VAT {facts.tax_rate:.0%}", facts.tax)]
    for name, amount in sums:
        y += 18
        sheet.write(440, y, name, align="right")
        sheet.write(545, y, european(amount), align="right")
    sheet.write(440, y + 22, "Total due", bold=True, size=11, align="right")
    sheet.write(545, y + 22, european(facts.total), bold=True, size=11, align="right")
    sheet.write(50, 800, f"{facts.supplier.name} - VAT no. 918 273 645 - Phone 555 0142", size=7, grey=90)
    return [sheet]


def _table(
    sheet: Sheet,
    y: float,
    columns: Sequence[tuple[float, str]],
    items: Sequence[Item],
    money: Callable[[Decimal], str],
) -> float:
    """Draw description, quantity, price and amount; return the y below the last row."""
    left = columns[0][0]
    sheet.fill(left - 4, y - 13, columns[-1][0] - left + 8, 19, grey=225)
    for position, (x, name) in enumerate(columns):
        sheet.write(x, y, name, bold=True, align="right" if position else "left")
    for item in items:
        y += ROW_HEIGHT
        cells = (str(item.quantity), money(item.price), money(item.amount))
        sheet.write(left, y, item.description)
        for (x, _), cell in zip(columns[1:], cells, strict=True):
            sheet.write(x, y, cell, align="right")
    return y + 10


def modern(facts: Facts) -> list[Sheet]:
    """Lay out labels above their values in three columns, with the total among them."""
    sheet = Sheet(612, 792)
    sheet.fill(0, 0, 612, 70, grey=60)
    sheet.write(40, 43, facts.supplier.name, size=17, bold=True, grey=255)
    sheet.write(572, 43, "Invoice", size=14, align="right", grey=235)
    heads: list[tuple[float, float, str, str]] = [
        (40, 110, "INVOICE NO", facts.number),
        (220, 110, "DATE OF ISSUE", in_words(facts.issued)),
        (400, 110, "PAYMENT DUE", in_words(facts.due)),
        (40, 155, "BILLED TO", facts.customer.name),
        (400, 155, f"AMOUNT DUE ({facts.currency})", english(facts.total)),
    ]
    for x, y, name, value in heads:
        sheet.write(x, y, name, size=7, grey=110)
        sheet.write(x, y + 15, value, size=10, bold=name.startswith("AMOUNT"))
    sheet.write(40, 184, f"{facts.customer.street}, {facts.customer.town}", size=8)
    columns = [(40.0, "ITEM"), (360.0, "QTY"), (460.0, "RATE"), (572.0, "AMOUNT")]
    y = _table(sheet, 225, columns, facts.items, english) + 12
    for name, amount in (("Subtotal", facts.net), ("Sales tax", facts.tax), ("Total", facts.total)):
        sheet.write(400, y, name)
        sheet.write(572, y, f"${english(amount)}", align="right", bold=name == "Total")
        y += 18
    sheet.write(40, 760, f"Thank you for your business! Order {facts.order_number}", size=8, grey=90)
    return [sheet]


def letter(facts: Facts) -> list[Sheet]:
    """Lay out a letter: the customer in the window, the rest as running text and a plain table."""
    sheet = Sheet()
    _address(sheet, 60, 120, facts.customer)
    sheet.write(535, 60, facts.supplier.name, size=12, bold=True, align="right")
    sheet.write(535, 74, f"{facts.supplier.street}, {facts.supplier.town}", size=8, align="right")
    sheet.write(60, 215, f"Invoice {facts.number}", size=14, bold=True)
    sheet.write(60, 236, f"{facts.supplier.town.split()[-1]}, {facts.issued:%Y-%m-%d}")
    sheet.write(60, 260, f"For the delivery of {facts.delivered:%Y-%m-%d} we charge, in {facts.currency}:")
    columns = [(60.0, "Article"), (350.0, "Units"), (440.0, "Each"), (535.0, "Sum")]
    y = _table(sheet, 290, columns, facts.items, spaced) + 14
    sheet.write(60, y, "Net amount")
    sheet.write(535, y, spaced(facts.net), align="right")
    sheet.write(60, y + 16, f"Value added tax ({facts.tax_rate:.0%})")
    sheet.write(535, y + 16, spaced(facts.tax), align="right")
    sheet.rule(60, y + 22, 475)
    sheet.write(60, y + 36, "To be paid", bold=True)
    sheet.write(535, y + 36, f"{facts.currency} {spaced(facts.total)}", bold=True, align="right")
    sheet.write(60, y + 66, f"Please quote {facts.number} and pay no later than {facts.due:%Y-%m-%d}.")
    return [sheet]


def statement(facts: Facts) -> list[Sheet]:
    """Lay out many rows, which continue on a second page with the sums."""
    first, second = Sheet(), Sheet()
    first.write(297, 60, facts.supplier.name, size=15, bold=True, align="centre")
    first.write(297, 76, f"{facts.supplier.street} * {facts.supplier.town}", size=8, align="centre")
    first.rule(50, 88, 495)
    left = [
        ("Customer:", facts.customer.name),
        ("Document:", facts.number),
        ("Reference:", facts.order_number),
    ]
    right = [
        ("Issued:", f"{facts.issued:%d/%m/%Y}"),
        ("Payable by:", f"{facts.due:%d/%m/%Y}"),
        ("All sums in:", facts.currency),
    ]
    _pairs(first, 50, 112, left, gap=70)
    _pairs(first, 370, 112, right, gap=75)
    columns = [(50.0, "Goods"), (340.0, "No."), (440.0, "Price"), (545.0, "Total price")]
    y = _table(first, 180, columns, facts.items[:ROWS_ON_FIRST_PAGE], english)
    first.write(545, y + 14, "continued on page 2", size=8, align="right", grey=90)
    second.write(50, 60, f"{facts.supplier.name}, document {facts.number}, page 2 of 2", size=8, grey=90)
    y = _table(second, 95, columns, facts.items[ROWS_ON_FIRST_PAGE:], english) + 18
    for name, amount in (("Goods total", facts.net), ("Tax", facts.tax), ("Grand total", facts.total)):
        second.write(360, y, name, bold=name == "Grand total")
        second.write(545, y, english(amount), align="right", bold=name == "Grand total")
        y += 17
    return [first, second]


def _till_lines(facts: Facts) -> Iterator[tuple[str, str, bool]]:
    for item in facts.items:
        yield item.description, "", False
        yield f"   {item.quantity} x {english(item.price)}", english(item.amount), False
    yield "", "", False
    yield "Subtotal", english(facts.net), False
    yield f"VAT {facts.tax_rate:.0%}", english(facts.tax), False
    yield f"TOTAL {facts.currency}", english(facts.total), True
    yield "Card", english(facts.total), False


def till(facts: Facts) -> list[Sheet]:
    """Lay out a narrow receipt."""
    rows = list(_till_lines(facts))
    sheet = Sheet(230, 190 + 15.0 * len(rows))
    sheet.write(115, 34, facts.supplier.name, size=10, bold=True, align="centre")
    sheet.write(115, 50, facts.supplier.street, size=8, align="centre")
    sheet.write(115, 63, facts.supplier.town, size=8, align="centre")
    sheet.write(15, 92, f"Receipt {facts.number}", size=9)
    sheet.write(15, 107, f"Date {facts.issued:%d-%m-%Y}  14:{facts.issued.day + 12:02d}", size=9)
    y = 132.0
    for name, amount, bold in rows:
        sheet.write(15, y, name, size=9.5 if bold else 9, bold=bold)
        sheet.write(215, y, amount, size=9.5 if bold else 9, bold=bold, align="right")
        y += 15
    sheet.write(115, y + 20, "Thank you, come again!", size=8, align="centre")
    return [sheet]


def slip(facts: Facts) -> list[Sheet]:
    """Lay out a half page of a hotel or a car park: sums only, no rows."""
    sheet = Sheet(420, 330)
    sheet.write(30, 42, facts.supplier.name, size=13, bold=True)
    sheet.write(30, 58, f"{facts.supplier.street}, {facts.supplier.town}", size=8)
    sheet.write(390, 42, "RECEIPT", size=11, align="right", grey=90)
    pairs = [
        ("No.", facts.number),
        ("Paid on", f"{facts.issued.day} {facts.issued:%b %Y}"),
        ("Received from", facts.customer.name),
        ("Before tax", f"{facts.currency} {english(facts.net)}"),
        ("Tax", f"{facts.currency} {english(facts.tax)}"),
        ("Total paid", f"{facts.currency} {english(facts.total)}"),
    ]
    _pairs(sheet, 30, 100, pairs, gap=110, step=24)
    sheet.rule(30, 262, 360)
    sheet.write(30, 282, f"Terminal 0042  Booking {facts.order_number}", size=8, grey=90)
    return [sheet]


EVERYTHING = frozenset(
    ("supplier", "customer", "number", "issue_date", "due_date", "currency", "net", "tax", "total", "items")
)
TEMPLATES = (
    Template("classic", classic, "EUR", (2, 7), EVERYTHING),
    Template("till", till, "GBP", (2, 6), EVERYTHING - {"customer", "due_date"}),
    Template("modern", modern, "USD", (2, 8), EVERYTHING),
    Template("slip", slip, "EUR", (1, 2), EVERYTHING - {"due_date", "items"}),
    Template("letter", letter, "NOK", (2, 6), EVERYTHING),
    Template("statement", statement, "GBP", (ROWS_ON_FIRST_PAGE + 2, ROWS_ON_FIRST_PAGE + 6), EVERYTHING),
)

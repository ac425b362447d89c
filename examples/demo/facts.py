"""Contents of invented invoices and receipts, before they are laid out."""

from __future__ import annotations

import datetime
import random
from dataclasses import dataclass
from decimal import Decimal

CENT = Decimal("0.01")
TAX_RATES = (Decimal("0.25"), Decimal("0.20"), Decimal("0.12"))
FIRST_DAY = datetime.date(2023, 1, 2)
DAYS = 1000

_NAME_STARTS = [
    "Alder",
    "Birch",
    "Cedar",
    "Dale",
    "Elm",
    "Fjord",
    "Granite",
    "Harbor",
    "Iris",
    "Juniper",
    "Kestrel",
    "Larch",
    "Maple",
    "Nordic",
    "Orchid",
    "Pine",
    "Quarry",
    "River",
    "Summit",
    "Tundra",
]
_NAME_MIDDLES = ["Lane", "Field", "Bridge", "Hill", "Coast", "Valley", "Point", "Stone", "Gate", "Wood"]
_NAME_KINDS = [
    "Trading",
    "Supplies",
    "Foods",
    "Logistics",
    "Design",
    "Tools",
    "Books",
    "Energy",
    "Textiles",
    "Dental",
    "Print",
    "Garden",
]
_NAME_FORMS = ["AS", "Ltd", "GmbH", "Inc", "AB", "LLC"]
_STREETS = [
    "Mill Road",
    "Kings Street",
    "Station Road",
    "Church Lane",
    "Market Square",
    "High Street",
    "Canal Street",
    "Park Avenue",
]
_TOWNS = ["Oslo", "Bergen", "Malmo", "Leeds", "Bristol", "Hamburg", "Bremen", "Boston", "Portland", "Aarhus"]
_ADJECTIVES = [
    "Blue",
    "Steel",
    "Oak",
    "Organic",
    "Heavy",
    "Folding",
    "Classic",
    "Small",
    "Large",
    "Recycled",
    "Wireless",
    "Cotton",
]
_THINGS = [
    "Chair",
    "Desk Lamp",
    "Notebook",
    "Coffee Beans",
    "Paper A4",
    "Toner",
    "Keyboard",
    "Gloves",
    "Hammer",
    "Tea",
    "Cable",
    "Backpack",
    "Blanket",
    "Shelf",
    "Monitor Arm",
]


@dataclass(frozen=True, slots=True)
class Item:
    """One row of goods."""

    description: str
    quantity: int
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """Return the price of the row."""
        return self.price * self.quantity


@dataclass(frozen=True, slots=True)
class Party:
    """A company with its address."""

    name: str
    street: str
    town: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Content of one document. Templates print all or some of it."""

    supplier: Party
    customer: Party
    number: str
    order_number: str
    issued: datetime.date
    delivered: datetime.date
    due: datetime.date
    currency: str
    tax_rate: Decimal
    items: tuple[Item, ...]

    @property
    def net(self) -> Decimal:
        """Return the sum of the rows."""
        return sum((item.amount for item in self.items), Decimal())

    @property
    def tax(self) -> Decimal:
        """Return the tax on the sum."""
        return (self.net * self.tax_rate).quantize(CENT)

    @property
    def total(self) -> Decimal:
        """Return the sum to pay."""
        return self.net + self.tax


def invent(chance: random.Random, *, currency: str, rows: tuple[int, int]) -> Facts:
    """Return the content of a document, with a number of rows within ``rows``."""
    issued = FIRST_DAY + datetime.timedelta(days=chance.randrange(DAYS))
    return Facts(
        supplier=_party(chance),
        customer=_party(chance),
        number=_number(chance),
        order_number=str(chance.randrange(4_000_000, 4_999_999)),
        issued=issued,
        delivered=issued - datetime.timedelta(days=chance.randrange(1, 9)),
        due=issued + datetime.timedelta(days=chance.choice((10, 14, 21, 30))),
        currency=currency,
        tax_rate=chance.choice(TAX_RATES),
        items=tuple(_item(chance) for _ in range(chance.randint(*rows))),
    )


def _party(chance: random.Random) -> Party:
    name = f"{chance.choice(_NAME_STARTS)} {chance.choice(_NAME_MIDDLES)} {chance.choice(_NAME_KINDS)}"
    return Party(
        name=f"{name} {chance.choice(_NAME_FORMS)}",
        street=f"{chance.choice(_STREETS)} {chance.randrange(1, 140)}",
        town=f"{chance.randrange(1000, 9999)} {chance.choice(_TOWNS)}",
    )


def _number(chance: random.Random) -> str:
    digits = chance.randrange(10_000, 99_999)
    return chance.choice((f"INV-{digits}", f"{digits}", f"F{chance.randrange(20, 26)}-{digits}"))


def _item(chance: random.Random) -> Item:
    return Item(
        description=f"{chance.choice(_ADJECTIVES)} {chance.choice(_THINGS)}",
        quantity=chance.choice((1, 1, 2, 3, 4, 5, 10, 12)),
        price=Decimal(chance.randrange(250, 48_000)) * CENT,
    )

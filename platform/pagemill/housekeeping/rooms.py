"""Which objects belong to which rows: the inverse of ``pagemill.objects.keys``, and nothing else knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from db import object_owners as statements
from db.statements import UntypedStatement
from pagemill.objects.keys import organization_prefix, renditions_prefix

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One kind of resource with objects: below ``name`` they lie by their owner, in the order of its keys."""

    name: str
    id_prefix: str
    ending: str
    """What follows the owner's slug in a key: a slash, or the end of a file's name."""
    in_order: UntypedStatement
    some: UntypedStatement
    owns: Callable[[Row, str], bool]
    """Whether a row that is there gives a key a reason to exist."""
    needs: Callable[[Row], str | None]
    """The key that a row names, or, ending in a slash, the prefix below which it has objects."""

    def prefix(self, organization_id: str) -> str:
        return f"{organization_prefix(organization_id)}{self.name}/"

    def place_of(self, owner_id: str) -> str:
        """Where below the room's prefix the objects of an owner lie; rows are in the order of these."""
        return owner_id.removeprefix(self.id_prefix) + self.ending

    def owner_at(self, place: str) -> str | None:
        """The owner of a place; None for a place that no owner has."""
        if not place.endswith(self.ending):
            return None
        return self.id_prefix + place.removesuffix(self.ending)


def _document_owns(row: Row, key: str) -> bool:
    """Words of a content that was replaced stay with the document: older data bundles learn from them."""
    current: str | None = row["content_key"]
    if "/content/" in key:
        return key == current
    if "/renditions/" in key:
        return current is not None and key.startswith(renditions_prefix(current))
    return True


def _training_owns(row: Row, _key: str) -> bool:
    """What a training that came to nothing has left holds what it learned from, and serves nobody."""
    return row["status"] not in ("failed", "cancelled")


ROOMS = (
    Room(
        name="assets",
        id_prefix="las:asset:",
        ending="/",
        in_order=statements.ASSETS_IN_ORDER,
        some=statements.SOME_ASSETS,
        owns=lambda row, key: bool(key == row["content_key"]),
        needs=lambda row: row["content_key"],
    ),
    Room(
        name="data-bundles",
        id_prefix="las:model-data-bundle:",
        ending=".json",
        in_order=statements.DATA_BUNDLES_IN_ORDER,
        some=statements.SOME_DATA_BUNDLES,
        owns=lambda _row, _key: True,
        needs=lambda row: row["object_key"],
    ),
    Room(
        name="documents",
        id_prefix="las:document:",
        ending="/",
        in_order=statements.DOCUMENTS_IN_ORDER,
        some=statements.SOME_DOCUMENTS,
        owns=_document_owns,
        needs=lambda row: row["content_key"],
    ),
    Room(
        name="trainings",
        id_prefix="las:model-training:",
        ending="/",
        in_order=statements.TRAININGS_IN_ORDER,
        some=statements.SOME_TRAININGS,
        owns=_training_owns,
        needs=lambda row: row["artefact_key"],
    ),
)

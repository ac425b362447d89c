"""Ownership of stored objects by rows: the inverse of ``pagemill.objects.keys``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from db import object_owners
from db.object_owners import ObjectOwnerRow
from db.statements import Statement
from pagemill.ids import OrganizationId
from pagemill.objects.keys import organization_prefix, thumbnails_prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerKind:
    """A kind of resource with objects: they are stored below ``folder``, in the order of their owners."""

    folder: str
    id_prefix: str
    key_suffix: str
    """Follows the owner's slug in a key: a slash, or the end of a file's name."""
    list_owners: Statement[..., list[ObjectOwnerRow]]
    find_owners: Statement[..., list[ObjectOwnerRow]]
    owns: Callable[[ObjectOwnerRow, str], bool]
    """Returns whether an owner that exists gives a key a reason to exist."""
    former_suffix: str | None = None
    """As ``key_suffix``, in keys of a former release. With ids of one length, both sort in one order."""

    def prefix(self, organization_id: OrganizationId) -> str:
        """Return the prefix of all keys of this kind."""
        return f"{organization_prefix(organization_id)}{self.folder}/"

    def location_of(self, owner_id: str) -> str:
        """Return the part of a key after the prefix that identifies the owner; rows are in its order."""
        return owner_id.removeprefix(self.id_prefix) + self.key_suffix

    def location_in(self, path: str) -> str:
        """Return the location that a key's part after the prefix begins with."""
        head, slash, _ = path.partition("/")
        if not slash and self.former_suffix is not None and head.endswith(self.former_suffix):
            return head.removesuffix(self.former_suffix) + self.key_suffix
        return head + slash

    def owner_at(self, location: str) -> str | None:
        """Return the id of the owner at a location, None if no owner can be there."""
        if not location.endswith(self.key_suffix):
            return None
        return self.id_prefix + location.removesuffix(self.key_suffix)


def _document_owns(document: ObjectOwnerRow, key: str) -> bool:
    """Return whether a document owns a key.

    Words of content that was replaced stay with the document: older data bundles learn from them. Predictions
    are stored only on the way to their caller: an old one lost it.
    """
    current = document.object_key
    if "/content/" in key:
        return key == current
    if "/thumbnails/" in key:
        return current is not None and key.startswith(thumbnails_prefix(current))
    return "/predictions/" not in key


def _data_bundle_owns(data_bundle: ObjectOwnerRow, key: str) -> bool:
    """Return whether a data bundle owns a key: while it is being made, everything, then what its row names.

    What is replaced stays for the grace of the sweep, for the trainings that read it.
    """
    named = data_bundle.object_key
    return not data_bundle.discarded and (named is None or is_named(named, key))


def is_named(named: str, key: str) -> bool:
    """Return whether a key is the one that a row names, or below the prefix that it names."""
    return key.startswith(named) if named.endswith("/") else key == named


OWNER_KINDS = (
    OwnerKind(
        folder="assets",
        id_prefix="las:asset:",
        key_suffix="/",
        list_owners=object_owners.list_assets,
        find_owners=object_owners.find_assets,
        owns=lambda asset, key: key == asset.object_key,
    ),
    OwnerKind(
        folder="data-bundles",
        id_prefix="las:model-data-bundle:",
        key_suffix="/",
        former_suffix=".json",
        list_owners=object_owners.list_data_bundles,
        find_owners=object_owners.find_data_bundles,
        owns=_data_bundle_owns,
    ),
    OwnerKind(
        folder="documents",
        id_prefix="las:document:",
        key_suffix="/",
        list_owners=object_owners.list_documents,
        find_owners=object_owners.find_documents,
        owns=_document_owns,
    ),
    OwnerKind(
        folder="trainings",
        id_prefix="las:model-training:",
        key_suffix="/",
        list_owners=object_owners.list_trainings,
        find_owners=object_owners.find_trainings,
        # Objects of a failed training hold the documents that it learned from, and nobody needs them.
        owns=lambda training, _key: not training.discarded,
    ),
)

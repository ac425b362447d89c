"""Comparison of stored objects with the rows of the database, and deletion of orphans.

A crash between a write to storage and one to the database leaves an orphan: an object that no row names. Lost
storage leaves a row without its object. Both sides are read in the order of their keys and merged, so that
memory does not grow with them. Nothing is locked meanwhile: a row is read again before its object is reported
or deleted.
"""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, TypeAlias

import msgspec

from db.object_owners import ObjectOwnerRow
from db.organizations import get_organization
from db.schedule import get_time, list_all_organizations
from db.statements import Connection
from pagemill.errors import NotFound
from pagemill.housekeeping.object_ownership import OWNER_KINDS, OwnerKind, is_named
from pagemill.ids import OrganizationId
from pagemill.objects import ObjectStore, StoredObject
from pagemill.objects.discarding import discard

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]

PAGE_SIZE = 1000
SUSPECTS_BATCH_SIZE = 500
MAXIMUM_NAMED = 1000
"""Most orphans and missing objects that a report names."""


class MissingObject(msgspec.Struct, frozen=True, rename="camel"):
    """An object that a row names and that does not exist."""

    id: str
    key: str


class SweepReport(msgspec.Struct, rename="camel"):
    """Result of a sweep. The first thousand orphans and missing objects are named."""

    organization_id: OrganizationId
    objects: int = 0
    rows: int = 0
    recent: int = 0
    """Objects without a row that are too young to be orphans."""
    orphans: int = 0
    removed: int = 0
    missing: int = 0
    orphan_keys: list[str] = []
    missing_objects: list[MissingObject] = []


class _Suspect(NamedTuple):
    """An object that seems to be an orphan, or the key of an object that seems to be missing."""

    owner_id: str
    key: str


class ObjectSweep:
    """Sweep of one organization.

    Objects younger than ``grace`` seconds are no orphans; with ``delete`` orphans are deleted.
    """

    def __init__(
        self,
        connect: Connect,
        objects: ObjectStore,
        organization_id: OrganizationId,
        *,
        grace: float,
        delete: bool = False,
    ) -> None:
        self._connect, self._objects = connect, objects
        self._organization_id = organization_id
        self._grace = datetime.timedelta(seconds=grace)
        self._delete = delete
        self.report = SweepReport(organization_id)

    async def run(self) -> SweepReport:
        """Compare all kinds of owners and return the report. Raises Unavailable."""
        async with self._connect() as connection:
            now = await get_time(connection)
        for kind in OWNER_KINDS:
            await _KindSweep(self, kind, before=now - self._grace).run()
        return self.report

    async def rows(self, kind: OwnerKind) -> AsyncIterator[ObjectOwnerRow]:
        """Yield all owners of a kind in the order of their keys."""
        after_id = ""
        while True:
            async with self._connect() as connection:
                rows = await kind.list_owners(
                    connection, organization_id=self._organization_id, after_id=after_id, limit=PAGE_SIZE
                )
            for row in rows:
                self.report.rows += 1
                yield row
            if len(rows) < PAGE_SIZE:
                return
            after_id = rows[-1].id

    async def groups(self, kind: OwnerKind) -> AsyncIterator[tuple[str, list[StoredObject]]]:
        """Yield the stored objects of a kind, grouped by the location of their owner."""
        prefix = kind.prefix(self._organization_id)
        location, group = "", list[StoredObject]()
        async for found in self._objects.scan(prefix):
            self.report.objects += 1
            here = kind.location_in(found.key.removeprefix(prefix))
            if here != location and group:
                yield location, group
                group = []
            location = here
            group.append(found)
        if group:
            yield location, group

    async def report_orphans(self, kind: OwnerKind, suspects: Iterable[_Suspect]) -> None:
        """Read the owners of suspects again; report, and perhaps delete, those that are orphans."""
        suspects = list(suspects)
        owners = await self._owners_of(kind, suspects)
        orphans = [
            suspect.key
            for suspect in suspects
            if suspect.owner_id not in owners or not kind.owns(owners[suspect.owner_id], suspect.key)
        ]
        self.report.orphans += len(orphans)
        self.report.orphan_keys += orphans[: MAXIMUM_NAMED - len(self.report.orphan_keys)]
        if self._delete and orphans:
            self.report.removed += await discard(self._objects, keys=orphans)

    async def report_missing(self, kind: OwnerKind, suspects: Iterable[_Suspect]) -> None:
        """Read the owners of suspects again; report the objects that are missing."""
        suspects = list(suspects)
        owners = await self._owners_of(kind, suspects)
        for suspect in suspects:
            owner = owners.get(suspect.owner_id)
            key = None if owner is None else owner.object_key
            if key is not None and not await self._is_stored(key):
                self.report.missing += 1
                if len(self.report.missing_objects) < MAXIMUM_NAMED:
                    self.report.missing_objects.append(MissingObject(suspect.owner_id, key))

    async def _owners_of(self, kind: OwnerKind, suspects: list[_Suspect]) -> Mapping[str, ObjectOwnerRow]:
        owner_ids = sorted({suspect.owner_id for suspect in suspects})
        async with self._connect() as connection:
            rows = await kind.find_owners(
                connection, organization_id=self._organization_id, owner_ids=owner_ids
            )
        return {row.id: row for row in rows}

    async def _is_stored(self, key: str) -> bool:
        if key.endswith("/"):
            return [found async for found in self._objects.scan(key)] != []
        try:
            await self._objects.size(key)
        except NotFound:
            return False
        return True


class _KindSweep:
    """Merge of the rows and the objects of one kind of owners."""

    def __init__(self, sweep: ObjectSweep, kind: OwnerKind, *, before: datetime.datetime) -> None:
        self._sweep, self._kind, self._before = sweep, kind, before
        self._orphans: list[_Suspect] = []
        self._missing: list[_Suspect] = []

    async def run(self) -> None:
        """Compare all of them."""
        rows = self._sweep.rows(self._kind)
        row = await anext(rows, None)
        async for location, group in self._sweep.groups(self._kind):
            while row is not None and self._kind.location_of(row.id) < location:
                await self._compare(row, [])
                row = await anext(rows, None)
            if row is not None and self._kind.location_of(row.id) == location:
                await self._compare(row, group)
                row = await anext(rows, None)
            else:
                await self._suspect_without_row(location, group)
        while row is not None:
            await self._compare(row, [])
            row = await anext(rows, None)
        await self._flush()

    async def _compare(self, row: ObjectOwnerRow, group: list[StoredObject]) -> None:
        named = row.object_key
        if named is not None and not any(is_named(named, found.key) for found in group):
            self._missing.append(_Suspect(row.id, named))
        self._suspect(row.id, (found for found in group if not self._kind.owns(row, found.key)))
        await self._flush(at_least=SUSPECTS_BATCH_SIZE)

    async def _suspect_without_row(self, location: str, group: list[StoredObject]) -> None:
        """Suspect objects without a row; those at a location where no owner can be are left alone."""
        owner_id = self._kind.owner_at(location)
        if owner_id is not None:
            self._suspect(owner_id, group)
            await self._flush(at_least=SUSPECTS_BATCH_SIZE)

    def _suspect(self, owner_id: str, group: Iterable[StoredObject]) -> None:
        for found in group:
            if found.modified_time < self._before:
                self._orphans.append(_Suspect(owner_id, found.key))
            else:
                self._sweep.report.recent += 1

    async def _flush(self, *, at_least: int = 1) -> None:
        if len(self._orphans) >= at_least:
            orphans, self._orphans = self._orphans, []
            await self._sweep.report_orphans(self._kind, orphans)
        if len(self._missing) >= at_least:
            missing, self._missing = self._missing, []
            await self._sweep.report_missing(self._kind, missing)


async def organizations_to_sweep(
    connection: Connection, organization_id: OrganizationId | None = None
) -> list[OrganizationId]:
    """Return the organization that is given, or all of them. Raises NotFound."""
    if organization_id is not None:
        if await get_organization(connection, organization_id=organization_id) is None:
            raise NotFound(f"Organization {organization_id} not found")
        return [organization_id]
    return [*await list_all_organizations(connection, after="", limit=None)]

"""Comparing what is stored with what the database knows of.

A crash between a write to storage and one to the database leaves an object that no row names; lost storage
leaves a row that names no object. Both sides are read in the order of their keys and merged: memory does not
grow with them. Nobody waits for a sweep, so before anything is said or removed the row is looked at again.
"""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, TypeAlias

import msgspec

from db.organizations import get_organization
from db.schedule import EVERY_ORGANIZATION, NOW
from db.statements import Connection
from pagemill.errors import NotFound
from pagemill.housekeeping.rooms import ROOMS, Room, Row
from pagemill.ids import OrganizationId
from pagemill.objects import ObjectStore, StoredObject
from pagemill.objects.removal import remove

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]

ROWS_AT_ONCE = 1000
SUSPECTS_AT_ONCE = 500
NAMED_AT_MOST = 1000


class Missing(msgspec.Struct, frozen=True, rename="camel"):
    """A row whose object is not there."""

    id: str
    key: str


class SweepReport(msgspec.Struct, rename="camel"):
    """What a sweep found. Of orphans and missing objects the first thousand are named."""

    organization_id: str
    objects: int = 0
    rows: int = 0
    recent: int = 0
    """Objects without a row that are too young to be judged."""
    orphans: int = 0
    removed: int = 0
    missing: int = 0
    orphan_keys: list[str] = []
    missing_objects: list[Missing] = []


class _Suspect(NamedTuple):
    """An object that no row seems to name, or a row (``key`` as it needs it) without its object."""

    owner_id: str
    key: str


class ObjectSweep:
    """A sweep of one organization. ``grace`` is in seconds; with ``delete`` orphans are removed."""

    def __init__(
        self,
        connect: Connect,
        objects: ObjectStore,
        organization_id: str,
        *,
        grace: float,
        delete: bool = False,
    ) -> None:
        self._connect, self._objects = connect, objects
        self._grace = datetime.timedelta(seconds=grace)
        self._delete = delete
        self.report = SweepReport(organization_id)

    async def run(self) -> SweepReport:
        """Raises Unavailable while the storage is away."""
        async with self._connect() as connection:
            now: datetime.datetime = await NOW.fetch_value(connection)
        for room in ROOMS:
            await _RoomSweep(self, room, before=now - self._grace).run()
        return self.report

    async def rows(self, room: Room) -> AsyncIterator[Row]:
        """A room's rows in the order of their keys."""
        after = ""
        while True:
            async with self._connect() as connection:
                rows = await room.in_order.fetch(connection, self.report.organization_id, after, ROWS_AT_ONCE)
            for row in rows:
                self.report.rows += 1
                yield row
            if len(rows) < ROWS_AT_ONCE:
                return
            after = rows[-1]["id"]

    async def groups(self, room: Room) -> AsyncIterator[tuple[str, list[StoredObject]]]:
        """What is stored in a room, by place."""
        prefix = room.prefix(self.report.organization_id)
        place, group = "", list[StoredObject]()
        async for found in self._objects.scan(prefix):
            self.report.objects += 1
            head, slash, _ = found.key.removeprefix(prefix).partition("/")
            if head + slash != place and group:
                yield place, group
                group = []
            place = head + slash
            group.append(found)
        if group:
            yield place, group

    async def judge_orphans(self, room: Room, suspects: Iterable[_Suspect]) -> None:
        """Of objects that no row seemed to name, those that none names now."""
        suspects = list(suspects)
        rows = await self._rows_of(room, suspects)
        orphans = [
            suspect.key
            for suspect in suspects
            if suspect.owner_id not in rows or not room.owns(rows[suspect.owner_id], suspect.key)
        ]
        self.report.orphans += len(orphans)
        self.report.orphan_keys += orphans[: NAMED_AT_MOST - len(self.report.orphan_keys)]
        if self._delete and orphans:
            self.report.removed += await remove(self._objects, keys=orphans)

    async def judge_missing(self, room: Room, suspects: Iterable[_Suspect]) -> None:
        """Of rows that seemed to lack their object, those that lack it now."""
        suspects = list(suspects)
        rows = await self._rows_of(room, suspects)
        for suspect in suspects:
            row = rows.get(suspect.owner_id)
            key = None if row is None else room.needs(row)
            if key is not None and not await self._is_stored(key):
                self.report.missing += 1
                if len(self.report.missing_objects) < NAMED_AT_MOST:
                    self.report.missing_objects.append(Missing(suspect.owner_id, key))

    async def _rows_of(self, room: Room, suspects: list[_Suspect]) -> Mapping[str, Row]:
        ids = sorted({suspect.owner_id for suspect in suspects})
        async with self._connect() as connection:
            rows = await room.some.fetch(connection, self.report.organization_id, ids)
        return {row["id"]: row for row in rows}

    async def _is_stored(self, key: str) -> bool:
        if key.endswith("/"):
            return [found async for found in self._objects.scan(key)] != []
        try:
            await self._objects.size(key)
        except NotFound:
            return False
        return True


class _RoomSweep:
    """The merge of one room's rows and objects."""

    def __init__(self, sweep: ObjectSweep, room: Room, *, before: datetime.datetime) -> None:
        self._sweep, self._room, self._before = sweep, room, before
        self._orphans: list[_Suspect] = []
        self._missing: list[_Suspect] = []

    async def run(self) -> None:
        rows = self._sweep.rows(self._room)
        row = await anext(rows, None)
        async for place, group in self._sweep.groups(self._room):
            while row is not None and self._room.place_of(row["id"]) < place:
                await self._compare(row, [])
                row = await anext(rows, None)
            if row is not None and self._room.place_of(row["id"]) == place:
                await self._compare(row, group)
                row = await anext(rows, None)
            else:
                await self._without_row(place, group)
        while row is not None:
            await self._compare(row, [])
            row = await anext(rows, None)
        await self._flush()

    async def _compare(self, row: Row, group: list[StoredObject]) -> None:
        needed = self._room.needs(row)
        if needed is not None and not any(_meets(needed, found.key) for found in group):
            self._missing.append(_Suspect(row["id"], needed))
        self._suspect(row["id"], (found for found in group if not self._room.owns(row, found.key)))
        await self._flush(at_least=SUSPECTS_AT_ONCE)

    async def _without_row(self, place: str, group: list[StoredObject]) -> None:
        """What lies where no owner can be is not ours to judge."""
        owner_id = self._room.owner_at(place)
        if owner_id is not None:
            self._suspect(owner_id, group)
            await self._flush(at_least=SUSPECTS_AT_ONCE)

    def _suspect(self, owner_id: str, found: Iterable[StoredObject]) -> None:
        for one in found:
            if one.modified_time < self._before:
                self._orphans.append(_Suspect(owner_id, one.key))
            else:
                self._sweep.report.recent += 1

    async def _flush(self, *, at_least: int = 1) -> None:
        if len(self._orphans) >= at_least:
            orphans, self._orphans = self._orphans, []
            await self._sweep.judge_orphans(self._room, orphans)
        if len(self._missing) >= at_least:
            missing, self._missing = self._missing, []
            await self._sweep.judge_missing(self._room, missing)


def _meets(needed: str, key: str) -> bool:
    return key.startswith(needed) if needed.endswith("/") else key == needed


async def swept_organizations(connection: Connection, organization_id: str | None = None) -> list[str]:
    """The organization that is named, else all of them. Raises NotFound."""
    if organization_id is not None:
        if await get_organization(connection, organization_id=OrganizationId(organization_id)) is None:
            raise NotFound(f"Organization {organization_id} not found")
        return [organization_id]
    return [row["id"] for row in await EVERY_ORGANIZATION.fetch(connection, "", None)]

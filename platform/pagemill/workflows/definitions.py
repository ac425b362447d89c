"""Definitions of workflows as executions need them: read and compiled once for many steps."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple, TypeAlias

from db.statements import Connection
from db.workflows import get_definition
from pagemill.ids import OrganizationId, WorkflowId
from pagemill.workflows.definition import Definition, compile_definition
from pagemill.workflows.large_definitions import read_beside_the_loop

KEPT_BYTES: Final = 4 * 1024 * 1024
"""Of JSON. A compiled definition takes ten to fifty times as much memory."""

Key: TypeAlias = tuple[OrganizationId, WorkflowId]


class _Kept(NamedTuple):
    definition: Definition
    size: int


class DefinitionCache:
    """The definitions that were used last, up to a size. That of a workflow never changes."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    async def get(
        self, connection: Connection, organization_id: OrganizationId, workflow_id: WorkflowId
    ) -> Definition:
        """Return the definition of a workflow that exists; it was judged when the workflow was made."""
        key = (organization_id, workflow_id)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key].definition
        raw = await get_definition(connection, organization_id=organization_id, workflow_id=workflow_id)
        definition, size = await read_beside_the_loop(compile_definition, raw)
        if key not in self._kept:
            self._kept[key] = _Kept(definition, size)
            self._size += self._kept[key].size
        while self._size > self._most:
            _, gone = self._kept.popitem(last=False)
            self._size -= gone.size
        return definition


_CACHE = DefinitionCache()
definition_of = _CACHE.get

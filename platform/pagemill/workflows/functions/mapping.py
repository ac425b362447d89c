"""Functions that steps can call: named by installed packages, and by a file of the operator.

Nothing is imported here: a function is only a name until a process of its own calls it.
"""

from __future__ import annotations

import importlib.metadata
import logging
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from pagemill.errors import PagemillError
from pagemill.ids import OrganizationId
from pagemill.workflows.commons import PREFIX as COMMONS

GROUPS = ("pagemill.functions", "pagemill.commons")
"""Groups of the entry points by which packages offer functions; the tables of the file are named likewise."""

UNREADABLE = "The functions of this installation cannot be read: the log of its operator says why"

logger = logging.getLogger(__name__)

Callable: TypeAlias = Annotated[str, Meta(pattern=r"^\w+(\.\w+)*:\w+(\.\w+)*$(?!\n)", max_length=1000)]
"""``module:name``."""


class MappedFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function, and the organizations that may call it; None: all of them.

    A process serves at most ``calls_per_process`` calls of it, for one organization.
    """

    callable: Callable
    organizations: frozenset[str] | None = None
    calls_per_process: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    functions: dict[str, Callable | MappedFunction] = {}
    commons: dict[str, Callable | MappedFunction] = {}


Names: TypeAlias = Mapping[tuple[str, str], MappedFunction]
"""Functions by their table, ``functions`` or ``commons``, and their name in it."""


class FunctionMissing(PagemillError):
    """No function has this name, or the organization may not call it."""


class FunctionMapping:
    """Names of functions: ``name:version``, or ``name`` for all versions; of commons just ``name``.

    The file is read again when it has changed; its names win. Installed packages are read once.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._installed = _installed_functions()
        self._changed: tuple[int, int, int] | None = None
        self._listed: Names = {}
        self._directory: str | None = None

    @property
    def directory(self) -> str | None:
        """Directory of the file as it was read last, in which modules are found first."""
        return self._directory

    def find(self, function_id: str, organization_id: OrganizationId) -> MappedFunction:
        """Return the function of a ``las:lambda:name:version`` or of a ``las:transition:commons-name``.

        Raises FunctionMissing; reads a file.
        """
        known = {**self._installed, **self._read()}
        table, names = _place_of(function_id)
        mapped = next((known[table, name] for name in names if (table, name) in known), None)
        if mapped is None or not _may_call(mapped, organization_id):
            name = names[-1]
            raise FunctionMissing(
                f"There is no function {function_id} here. The operator can add one: a line "
                f'"{name}" = "module:function" below [{table}] in the file that PAGEMILL_FUNCTIONS_FILE '
                f"names, or an entry point {name} of the group pagemill.{table} (docs/workflows.md)"
            )
        return mapped

    def _read(self) -> Names:
        """Return what the file lists. Raises FunctionMissing when it cannot be read."""
        if self._file is None:
            return {}
        try:
            state = self._file.stat()
            changed = (state.st_mtime_ns, state.st_size, state.st_ino)
            if changed != self._changed:
                self._listed = _functions_of(self._file.read_bytes())
                self._directory = str(self._file.resolve().parent)
                self._changed = changed
        except (OSError, ValueError) as error:
            # Tenants read the message of a step: the names of others' functions are none of their business.
            logger.error("PAGEMILL_FUNCTIONS_FILE: %s: %s", self._file, error)
            raise FunctionMissing(UNREADABLE) from error
        return self._listed


def _place_of(function_id: str) -> tuple[str, list[str]]:
    """Return the table of a function, and the names that it may have there."""
    if function_id.startswith(COMMONS):
        return "commons", [function_id.removeprefix(COMMONS)]
    name, _, version = function_id.removeprefix("las:lambda:").partition(":")
    return "functions", [f"{name}:{version}", name]


def _functions_of(content: bytes) -> Names:
    """Return the functions of a file. Raises ValueError naming what is wrong."""
    file = msgspec.convert(tomllib.loads(content.decode()), _File)
    return {
        (table, name): one if isinstance(one, MappedFunction) else MappedFunction(one)
        for table, listed in (("functions", file.functions), ("commons", file.commons))
        for name, one in listed.items()
    }


def _installed_functions() -> Names:
    """Return the functions that installed packages offer."""
    return {
        (group.removeprefix("pagemill."), point.name): MappedFunction(point.value)
        for group in GROUPS
        for point in importlib.metadata.entry_points(group=group)
    }


def _may_call(mapped: MappedFunction, organization_id: OrganizationId) -> bool:
    return mapped.organizations is None or organization_id in mapped.organizations

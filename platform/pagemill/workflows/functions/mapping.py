"""Functions that lambda transitions can call: named by installed packages, and by a file of the operator.

Nothing is imported here: a function is only a name until a process of its own calls it.
"""

from __future__ import annotations

import importlib.metadata
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from pagemill.errors import PagemillError
from pagemill.ids import OrganizationId

GROUP = "pagemill.functions"
"""Group of the entry points by which a package offers functions."""

Callable: TypeAlias = Annotated[str, Meta(pattern=r"^\w+(\.\w+)*:\w+(\.\w+)*$(?!\n)", max_length=1000)]
"""``module:name``."""


class MappedFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function, and the organizations that may call it; None: all of them."""

    callable: Callable
    organizations: frozenset[str] | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    functions: dict[str, Callable | MappedFunction] = {}


class FunctionMissing(PagemillError):
    """No function has this name, or the organization may not call it."""


class FunctionMapping:
    """Names of functions: ``name:version``, or ``name`` for all versions.

    The file is read again when it has changed; its names win. Installed packages are read once.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._installed = _installed_functions()
        self._changed: tuple[int, int] | None = None
        self._listed: Mapping[str, MappedFunction] = {}

    @property
    def directory(self) -> str | None:
        """Directory of the file, in which modules are found first."""
        return None if self._file is None else str(self._file.resolve().parent)

    def find(self, lambda_id: str, organization_id: OrganizationId) -> str:
        """Return the function of a ``las:lambda:name:version``. Raises FunctionMissing; reads a file."""
        name, _, version = lambda_id.removeprefix("las:lambda:").partition(":")
        known = {**self._installed, **self._read()}
        mapped = known.get(f"{name}:{version}") or known.get(name)
        if mapped is None or not _may_call(mapped, organization_id):
            raise FunctionMissing(
                f"There is no function {lambda_id} here. The operator can add one: a line "
                f'"{name}" = "module:function" below [functions] in the file that PAGEMILL_FUNCTIONS_FILE '
                f"names, or an entry point {name} of the group {GROUP} (docs/workflows.md)"
            )
        return mapped.callable

    def _read(self) -> Mapping[str, MappedFunction]:
        """Return what the file lists. Raises FunctionMissing when it cannot be read."""
        if self._file is None:
            return {}
        try:
            state = self._file.stat()
            changed = (state.st_mtime_ns, state.st_size)
            if changed != self._changed:
                self._listed = _functions_of(self._file.read_bytes())
                self._changed = changed
        except (OSError, ValueError) as error:
            raise FunctionMissing(f"PAGEMILL_FUNCTIONS_FILE: {self._file}: {error}") from error
        return self._listed


def _functions_of(content: bytes) -> Mapping[str, MappedFunction]:
    """Return the functions of a file. Raises ValueError naming what is wrong."""
    listed = msgspec.convert(tomllib.loads(content.decode()), _File).functions
    return {
        name: one if isinstance(one, MappedFunction) else MappedFunction(one) for name, one in listed.items()
    }


def _installed_functions() -> Mapping[str, MappedFunction]:
    """Return the functions that installed packages offer."""
    found = importlib.metadata.entry_points(group=GROUP)
    return {point.name: MappedFunction(point.value) for point in found}


def _may_call(mapped: MappedFunction, organization_id: OrganizationId) -> bool:
    return mapped.organizations is None or organization_id in mapped.organizations

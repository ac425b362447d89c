"""Compiled definitions, kept by what they were compiled from: steps of many executions share one."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from pagemill.workflows.definition import Definition, compile_definition

KEPT_BYTES = 4 * 1024 * 1024
"""Of JSON. A compiled definition takes ten to fifty times as much memory."""


class DefinitionCache:
    """The definitions that were used last, up to a size."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self.most = most
        self.size = 0
        self._kept: OrderedDict[bytes, tuple[Definition, int]] = OrderedDict()
        self._lock = threading.Lock()

    def compiled(self, raw: Mapping[str, Any]) -> Definition:
        """Return the definition compiled. It was judged when its workflow was made. Raises BadRequest."""
        encoded = msgspec.json.encode(raw)
        digest = hashlib.sha256(encoded).digest()
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
                return self._kept[digest][0]
        definition = compile_definition(raw)
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = (definition, len(encoded))
                self.size += len(encoded)
            while self.size > self.most:
                _, (_, size) = self._kept.popitem(last=False)
                self.size -= size
        return definition


_CACHE = DefinitionCache()


def compiled_definition(raw: Mapping[str, Any]) -> Definition:
    """Return the definition of a stored workflow, compiled once by the process. Raises BadRequest."""
    return _CACHE.compiled(raw)

"""Compiled definitions are shared, and only so many are kept."""

from __future__ import annotations

import msgspec

from pagemill.workflows.definition_cache import DefinitionCache, compiled_definition
from tests.support.machines import alone, task


def test_an_equal_definition_is_compiled_once() -> None:
    assert compiled_definition(alone(task())) is compiled_definition(alone(task()))
    assert compiled_definition(alone(task(Comment="other"))) is not compiled_definition(alone(task()))


def test_the_definitions_that_were_used_last_are_kept() -> None:
    definitions = [alone(task(Comment=str(number))) for number in range(4)]
    size = len(msgspec.json.encode(definitions[0]))
    cache = DefinitionCache(3 * size)
    first = [cache.compiled(definition) for definition in definitions[:3]]
    assert cache.compiled(definitions[0]) is first[0]
    cache.compiled(definitions[3])
    assert cache.size == 3 * size
    assert cache.compiled(definitions[0]) is first[0]
    assert cache.compiled(definitions[1]) is not first[1]


def test_a_definition_larger_than_the_cache_is_compiled() -> None:
    cache = DefinitionCache(10)
    assert cache.compiled(alone(task())).start_at == "A"
    assert cache.size == 0

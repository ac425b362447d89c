"""Names that the manifests may use: settings of Pagemill, variables and options of Ray."""

from __future__ import annotations

import functools
import re
from importlib.util import find_spec
from pathlib import Path

import click
import msgspec
from ray.scripts.scripts import start

from pagemill.settings import PREFIX, Settings

_RAY_VARIABLE = re.compile(r"\bRAY_[A-Za-z0-9_]+\b")
OF_OTHERS = frozenset({"OMP_WAIT_POLICY"})


@functools.cache
def settings_names() -> frozenset[str]:
    return frozenset(PREFIX + field.name.upper() for field in msgspec.structs.fields(Settings))


@functools.cache
def ray_variables() -> frozenset[str]:
    """Every variable that the installed Ray's Python code mentions."""
    specification = find_spec("ray")
    assert specification is not None
    [location] = specification.submodule_search_locations or []
    found: set[str] = set()
    for room in ("_private", "_common", "autoscaler", "dashboard", "scripts", "serve", "train"):
        for path in (Path(location) / room).rglob("*.py"):
            found.update(_RAY_VARIABLE.findall(path.read_text(errors="replace")))
    return frozenset(found)


def is_known(name: str) -> bool:
    """Whether somebody reads an environment variable of this name."""
    return name in settings_names() or name in OF_OTHERS or name in ray_variables()


def refused_by_ray(arguments: list[str]) -> str | None:
    """What ``ray start`` says against its arguments, without being started."""
    try:
        start.make_context("start", list(arguments), resilient_parsing=False)
    except click.ClickException as error:
        return error.format_message()
    return None

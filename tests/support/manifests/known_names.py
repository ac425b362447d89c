"""Names that the manifests may use: settings of Pagemill, variables and options of Ray."""

from __future__ import annotations

import functools

import click
import msgspec
from ray.scripts.scripts import start

from pagemill.settings import PREFIX, Settings
from pagemill.stack.stack_configuration import DATABASE_OWNER_URL
from tools.cluster_file.ray_names import ray_names

OF_OTHERS = frozenset({"OMP_WAIT_POLICY", DATABASE_OWNER_URL})


@functools.cache
def settings_names() -> frozenset[str]:
    return frozenset(PREFIX + field.name.upper() for field in msgspec.structs.fields(Settings))


def is_known(name: str) -> bool:
    """Return whether somebody reads an environment variable of this name."""
    return name in settings_names() or name in OF_OTHERS or name in ray_names()


def refused_by_ray(arguments: list[str]) -> str | None:
    """Return the objection of ``ray start`` to its arguments, without starting it."""
    try:
        start.make_context("start", list(arguments), resilient_parsing=False)
    except click.ClickException as error:
        return error.format_message()
    return None

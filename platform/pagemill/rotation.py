"""Rotation of pages."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Rotation: TypeAlias = Literal[0, 90, 180, 270]
"""Degrees by which a page is turned clockwise."""

ROTATIONS: tuple[Rotation, ...] = get_args(Rotation)

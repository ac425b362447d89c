"""The type of requests in this application."""

from __future__ import annotations

from typing import TypeAlias

from litestar import Request
from litestar.datastructures import State

ApiRequest: TypeAlias = Request[None, None, State]
"""A request; callers are found by the guard, not by Litestar's authentication."""

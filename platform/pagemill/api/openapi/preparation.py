"""Making of the API document and its page beside the event loop: together they take seconds."""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from litestar import Litestar
from litestar._openapi.plugin import OpenAPIPlugin

from pagemill.api.openapi.reference_page import ReferencePage

DOCUMENT: Final = "document"
"""Option of the routes that answer with the document."""

# Two threads that made it at the same time would count its operations twice.
_MAKING = threading.Lock()


async def prepare_document(app: Litestar) -> None:
    """Make the document and its page, unless they are there."""
    if not all(page.is_rendered for page in _pages(app)):
        await asyncio.to_thread(_make, app)


def _make(app: Litestar) -> None:
    with _MAKING:
        document = app.plugins.get(OpenAPIPlugin).provide_openapi_schema()
        for page in _pages(app):
            page.prepare(document)


def _pages(app: Litestar) -> list[ReferencePage]:
    config = app.plugins.get(OpenAPIPlugin).openapi_config
    return [plugin for plugin in config.render_plugins if isinstance(plugin, ReferencePage)]

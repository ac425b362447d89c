"""The OpenAPI document as a file."""

from __future__ import annotations

import json
from pathlib import Path

from pagemill.api.app import create_app
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings

DIRECTORY = Path(__file__).parents[2] / "docs" / "api"
DOCUMENT = DIRECTORY / "openapi.json"


def document_text() -> str:
    """Return the document that an installation with default settings serves, as sorted JSON."""
    settings = Settings(
        database_url="postgresql://unused",
        objects_url="file:///unused",
        token_key="k" * 32,
        secret_keys=new_secret_key("unused"),
    )
    document = create_app(settings).openapi_schema.to_schema()
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

"""Write ``docs/api/openapi.json`` and the Postman collection made from it."""

from __future__ import annotations

import sys

from tools.api_docs.document import DIRECTORY, DOCUMENT, document_text
from tools.api_docs.postman import COLLECTION, ConverterUnavailable, collection_text


def main() -> int:
    """Return the exit status: 1 when the collection could not be made."""
    document = document_text()
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    DOCUMENT.write_text(document)
    print(f"{DOCUMENT}")
    try:
        COLLECTION.write_text(collection_text(document))
    except ConverterUnavailable as error:
        print(f"The Postman collection was not made: {error}", file=sys.stderr)
        return 1
    print(f"{COLLECTION}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

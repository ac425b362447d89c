"""Write the computed parts of the documents in ``docs``: each stands between two marks with its name."""

from __future__ import annotations

import sys

from tools.documents.parts import DOCUMENTS, filled


def main() -> int:
    """Write each document whose parts have changed; return the exit status."""
    for document in DOCUMENTS:
        before = document.read_text()
        if (now := filled(before)) != before:
            document.write_text(now)
            print(document)
    return 0


if __name__ == "__main__":
    sys.exit(main())

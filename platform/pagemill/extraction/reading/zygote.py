"""Fork server of the reader: it has the parsers loaded, and forks a child for each document.

Run as a module by its parent. It never looks at a document itself.
"""

from __future__ import annotations

import socket
import sys

import pypdfium2  # noqa: F401 - loaded before children are forked, not by each of them

# The formats are loaded for the same reason.
from PIL import (
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from pagemill.extraction.reading.child import serve_document
from pagemill.extraction.reading.glyph_shapes import references
from pagemill.extraction.reading.pdf_substitutes import substitute_fonts
from pagemill.sandbox.fork_server import serve_forks


def main() -> None:
    """Fork for the parent on the socket whose descriptor is the first argument, until it goes."""
    Image.preinit()
    references()
    substitute_fonts()
    serve_forks(socket.socket(fileno=int(sys.argv[1])), serve_document)


if __name__ == "__main__":
    main()

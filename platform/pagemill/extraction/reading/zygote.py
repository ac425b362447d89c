"""Fork server of the reader: it has the parsers loaded, and forks a child for each document.

Run as a module by its parent. It never looks at a document itself.
"""

from __future__ import annotations

import socket
import sys

from pagemill.extraction.reading.child import serve_document
from pagemill.extraction.reading.glyph_shapes import references
from pagemill.extraction.reading.preloading import preload_parsers
from pagemill.sandbox.confinement import Sandbox
from pagemill.sandbox.fork_server import serve_forks
from pagemill.sandbox.profile import PARSER


def main() -> None:
    """Fork for the parent on the socket whose descriptor is the first argument, until it goes."""
    sandbox = Sandbox(PARSER)
    preload_parsers(fonts=sandbox.opens_files)
    references()
    serve_forks(socket.socket(fileno=int(sys.argv[1])), serve_document, sandbox)


if __name__ == "__main__":
    main()

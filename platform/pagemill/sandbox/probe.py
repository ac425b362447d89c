"""Question which means of confinement this machine and user have, answered by trying them in a child."""

from __future__ import annotations

import socket
import sys
from typing import Final

from pagemill.sandbox.confinement import Sandbox
from pagemill.sandbox.fork_server import serve_forks
from pagemill.sandbox.forked_child import ForkServer
from pagemill.sandbox.means import Confinement
from pagemill.sandbox.profile import PARSER

MODULE: Final = "pagemill.sandbox.probe"
START_SECONDS: Final = 30.0


def confinement_here() -> Confinement:
    """Return what children that parse documents have on this machine. Raises OSError."""
    server = ForkServer(MODULE, start_seconds=START_SECONDS)
    server.end()
    return server.confinement


def confinement_in_words() -> str:
    """Return what an operator is told of it in one line."""
    try:
        return confinement_here().in_words()
    except OSError as error:
        return f"no sandbox: {error}"


def main() -> None:
    """Try the means, and tell the parent on the socket whose descriptor is the first argument."""
    serve_forks(socket.socket(fileno=int(sys.argv[1])), lambda *_: None, Sandbox(PARSER))


if __name__ == "__main__":
    main()

"""Options of the HTTP server in front of the API: granian.

What it bounds by itself is said here, once for `pagemill up`, images, benchmarks and tests; what it lacks is
in ``pagemill.api.http.connection_bounds`` and ``pagemill.api.http.request_draining``.
"""

from __future__ import annotations

from typing import Final

HEADER_MILLISECONDS: Final = 20_000
"""Time for the headers of a request; an idle connection is closed after it too."""
CONNECTIONS: Final = 2048
"""Most connections of one process; others wait in the kernel's queue, which is as long."""
LARGEST_HEADERS: Final = 64 * 1024

BOUNDS: Final = (
    # Its detection of HTTP/2 waits without end for the first bytes of a connection.
    "--http=1",
    f"--http1-header-read-timeout={HEADER_MILLISECONDS}",
    f"--http1-buffer-size={LARGEST_HEADERS}",
    f"--backlog={CONNECTIONS}",
    f"--backpressure={CONNECTIONS}",
)
SERVER_OPTIONS: Final = ("--interface=asgi", "--factory", "--no-ws", "--respawn-failed-workers", *BOUNDS)
APPLICATION: Final = "pagemill.api.app:create_app"

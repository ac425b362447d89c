"""Start and end of a child process that is connected to its parent by a socket."""

from __future__ import annotations

import socket
import subprocess
import sys

from pagemill.sandbox.confinement import child_environment


def child_command(module: str, descriptor: int) -> list[str]:
    """Return the command that runs a module with an inherited descriptor as its argument."""
    return [sys.executable, "-P", "-m", module, str(descriptor)]


class ChildProcess:
    """A child process that runs a module; the module's first argument is its socket's descriptor."""

    def __init__(self, module: str) -> None:
        """Start the child. Raises OSError."""
        self.connection, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                child_command(module, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=child_environment(),
            )
        except OSError:
            self.connection.close()
            raise
        finally:
            theirs.close()

    def is_running(self) -> bool:
        """Return whether the process is alive."""
        return self.process.poll() is None

    def end(self, seconds: float) -> int | None:
        """Close the connection, at which the child ends, and kill it if it still runs after ``seconds``.

        Return its exit status, negative for a signal; None if it was killed.
        """
        self.connection.close()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

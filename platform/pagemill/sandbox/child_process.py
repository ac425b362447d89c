"""Start and end of a child process that is connected to its parent by a socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

ALLOCATOR: Final = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Most of the kernel's time for a short child is its pages of memory: a third less in large ones.

Other C libraries ignore this.
"""
LIBRARIES: Final = "LD_LIBRARY_PATH"
ENVIRONMENT_OF_FUNCTIONS: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", LIBRARIES, "VIRTUAL_ENV")
"""Functions see none of the secrets that settings keep in the environment."""
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
START: Final = f"""
import os, runpy, sys
os.environ.update({ONE_THREAD!r})
module, sys.path[:], sys.argv[1:] = sys.argv[1], sys.argv[3:], sys.argv[2:3]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""Program that runs a module; it is told by arguments what environments tell otherwise."""


def child_command(module: str, descriptor: int) -> list[str]:
    """Return the command that runs a module with an inherited descriptor as its argument.

    The module can import what this process can import.
    """
    search_path = [entry or os.getcwd() for entry in sys.path]
    return [sys.executable, "-B", "-P", "-c", START, module, str(descriptor), *search_path]


def environment_of_parsers() -> dict[str, str]:
    """Return an environment that says nothing about this process, for what may read it all its life."""
    found = os.environ.get(LIBRARIES)
    return ALLOCATOR if found is None else {**ALLOCATOR, LIBRARIES: found}


def environment_of_functions() -> dict[str, str]:
    """Return the environment of the operator's functions, and of the programs that they start."""
    kept = {name: os.environ[name] for name in ENVIRONMENT_OF_FUNCTIONS if name in os.environ}
    search_path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**kept, **ONE_THREAD, **ALLOCATOR, "PYTHONPATH": search_path, "PYTHONDONTWRITEBYTECODE": "1"}


class ChildProcess:
    """A child process that runs a module; the module's first argument is its socket's descriptor."""

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        """Start the child, with the environment of parsers unless another is given. Raises OSError."""
        self.connection, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                child_command(module, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=environment_of_parsers() if environment is None else environment,
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

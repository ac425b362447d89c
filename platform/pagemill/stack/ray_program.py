"""The ``ray`` command without the server of Ray's client, which nothing here uses.

``ray start --head`` starts that server whenever its library is there, and has no option against it. Whoever
reaches it with the token runs code here, so it is better not there.
"""

from __future__ import annotations

from typing import Any

from ray.scripts import scripts


def main() -> None:
    """Run the command."""
    program: Any = scripts
    program.get_ray_client_dependency_error = lambda: ImportError("Ray's client is not used")
    program.main()


if __name__ == "__main__":
    main()

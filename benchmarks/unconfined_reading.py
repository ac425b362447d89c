"""Fork server of the reader whose children have limits of resources and no sandbox. Run as a module.

Only a benchmark may read with it: what it costs is the reference of the sandbox.
"""

from __future__ import annotations

from pagemill.extraction.reading import zygote
from pagemill.sandbox.profile import Profile


def main() -> None:
    """Fork for the parent, until it goes."""
    zygote.PARSER = Profile(means=frozenset())  # type: ignore[misc]
    zygote.main()


if __name__ == "__main__":
    main()

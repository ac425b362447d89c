"""Fork server of the reader whose children run attacks."""

from __future__ import annotations

from typing import NoReturn

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading import child, zygote
from tests.support.attacks.code import run_attack


def attack(content: bytes, _limits: object) -> NoReturn:
    """Run the code of a document where it would be opened."""
    raise DocumentUnreadable(run_attack(content))


if __name__ == "__main__":
    child.open_document = attack
    zygote.main()

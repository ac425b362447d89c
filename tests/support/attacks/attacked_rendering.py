"""Fork server of the renderer whose children run attacks."""

from __future__ import annotations

from pagemill.documents.thumbnails import fork_server
from tests.support.attacks.code import run_attack


def attack(_request: object, content: bytes) -> bytes:
    """Run the code of a document where it would be rendered."""
    return run_attack(content).encode()


if __name__ == "__main__":
    fork_server._render = attack
    fork_server.main()

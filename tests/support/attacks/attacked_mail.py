"""Fork server of the mail reader whose children run attacks."""

from __future__ import annotations

from typing import NoReturn

from pagemill.mail_intake import reading_server
from pagemill.mail_intake.refusals import MailRefused
from tests.support.attacks.code import run_attack


def attack(content: bytes, *, sender: str) -> NoReturn:
    """Run the code of a mail where it would be parsed."""
    raise MailRefused(run_attack(content))


if __name__ == "__main__":
    reading_server.parse_mail = attack
    reading_server.main()

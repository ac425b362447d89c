"""The confined children that read mails: what ends one ends no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psutil
import pytest

from pagemill.errors import Unavailable
from pagemill.mail_intake import reader as reader_module
from pagemill.mail_intake.mail import Delivery
from pagemill.mail_intake.reader import MailReader
from pagemill.mail_intake.refusals import MailUnreadable
from tests.support.mails import ADA, PDF, mail, nested, raw
from tests.support.name_server import SILENT, name_server


@pytest.fixture
async def reader() -> AsyncIterator[MailReader]:
    reader = MailReader(authenticate=False)
    yield reader
    await reader.close()


def delivery(content: bytes) -> Delivery:
    return Delivery(content=content, sender=ADA, client_address="192.0.2.1", client_name="mx.example.org")


async def test_mails_are_read_side_by_side(reader: MailReader) -> None:
    found = await asyncio.gather(
        *(reader.read(delivery(mail(("a.pdf", PDF * number)))) for number in (1, 2, 3))
    )

    assert [one.documents[0].content for one in found] == [PDF, PDF * 2, PDF * 3]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (nested(3000), "nested too deeply"),
        (b"From: a@b.cd\r\n\r\n" + b"\r\n" * 18_000_000, "too many lines"),
        (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * 10_000, "too many parts"),
    ],
    ids=["nested", "lines", "parts"],
)
async def test_what_takes_too_much_is_refused_and_the_next_one_is_read(
    reader: MailReader, content: bytes, reason: str
) -> None:
    refused = asyncio.create_task(reader.read(delivery(content)))
    neighbour = await reader.read(delivery(mail(("a.pdf", PDF))))

    assert len(neighbour.documents) == 1
    with pytest.raises(MailUnreadable, match=reason):
        await refused


async def test_a_child_that_takes_too_long_is_ended(
    reader: MailReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reader.read(delivery(mail()))
    monkeypatch.setattr(reader_module, "READ_SECONDS", 0.2)
    with name_server({("example.org", "TXT"): SILENT}) as server:
        asking = MailReader(authenticate=True, name_servers=[server])
        with pytest.raises(MailUnreadable, match=r"longer than 0\.2 seconds"):
            await asking.read(delivery(mail()))
        await asking.close()


async def test_a_fork_server_that_was_killed_is_started_again(reader: MailReader) -> None:
    await reader.read(delivery(raw()))
    assert reader._fork_server is not None
    process = psutil.Process(reader._fork_server.process_id)
    process.kill()
    process.wait(10)

    try:
        await reader.read(delivery(raw()))
    except Unavailable:
        await reader.read(delivery(raw()))

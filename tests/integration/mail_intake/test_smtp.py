"""The SMTP server against clients that behave, and those that do not."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import aiosmtplib
import pytest
from click.testing import CliRunner

from pagemill.cli import main
from pagemill.mail_intake import server, session
from pagemill.settings import Settings, SettingsError, to_environment
from pagemill.stack.postgres import free_port
from pagemill.stack.probes import smtp_answers
from tests.integration.mail_intake.conftest import Mailbox, send, serving
from tests.support.mails import ADA, PDF, mail, raw
from tests.support.processes import eventually

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def reply_of(reader: asyncio.StreamReader) -> str:
    """The next reply, all of its lines."""
    lines = []
    async with asyncio.timeout(30):
        while (line := (await reader.readline()).decode()) and not re.match(r"\d{3} ", line):
            lines.append(line)
    return "".join([*lines, line]).rstrip()


async def say(streams: Streams, *lines: str) -> str:
    """Send commands, each after the reply to the one before; return the last reply."""
    reader, writer = streams
    for line in lines:
        writer.write(f"{line}\r\n".encode())
        reply = await reply_of(reader)
    return reply


async def connected(port: int) -> Streams:
    streams = await asyncio.open_connection("127.0.0.1", port)
    assert (await reply_of(streams[0])).startswith("220 ")
    return streams


async def give(port: int, mailbox: Mailbox, data: bytes, *, sender: str = ADA) -> str:
    """Hand these bytes in as they are, dots and all; return the reply to them."""
    reader, writer = await connected(port)
    with closing(writer):
        reply = await say(
            (reader, writer),
            "EHLO mx.example.org",
            f"MAIL FROM:<{sender}>",
            f"RCPT TO:<{mailbox.address}>",
            "DATA",
        )
        assert reply.startswith("354 ")
        writer.write(data)
        return await reply_of(reader)


async def test_what_is_offered(smtp_port: int) -> None:
    streams = await connected(smtp_port)
    with closing(streams[1]):
        offered = await say(streams, "EHLO mx.example.org")
        assert set(re.split(r"\r?\n", offered)) == {
            "250-localhost.localdomain",
            f"250-SIZE {36 * 1024 * 1024}",
            "250-8BITMIME",
            "250 HELP",
        }
        assert (await say(streams, "AUTH PLAIN AGEAYg==")).startswith("502 ")
        assert (await say(streams, "STARTTLS")).startswith("454 ")
        assert (await say(streams, "DATA")).startswith("503 ")
        assert (await say(streams, f"MAIL FROM:<{ADA}> SIZE=37748737")).startswith("552 ")
        assert (await say(streams, f"MAIL FROM:<{ADA}> SIZE=100", "DATA")).startswith("503 ")


async def test_where_a_mail_ends(mailbox: Mailbox, smtp_port: int) -> None:
    for data in (
        b".\r\n",
        b"\r\n.\r\n",
        b"Subject: x\r\n\r\n..\r\n...\r\n.\r\n",
        b"Subject: x\r\n\r\n\n.\n\r.\r\n.\r\n",
        b"Subject: x\r\n\r\n" + b"x" * 200_000 + b"\r\n.\r\n",
        b"\r\n" * 100_000 + b".\r\n",
    ):
        assert await give(smtp_port, mailbox, data) == "250 2.0.0 Taken"


async def test_dots_and_binary_bytes_arrive_as_they_were(mailbox: Mailbox, smtp_port: int) -> None:
    content = raw("Content-Type: text/plain; charset=utf-8", body=[".", "..a", "é", "b", "."])
    stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in content.split(b"\r\n"))
    attached = mail(("a.pdf", PDF))
    assert await give(smtp_port, mailbox, stuffed + b".\r\n") == "250 2.0.0 Taken"

    both = attached.replace(b"Please pay.", b"..Please pay.\r\n...")
    assert await give(smtp_port, mailbox, both + b".\r\n", sender="") == "250 2.0.0 Taken"
    [given] = await mailbox.inputs()
    assert given["email"]["body"] == ".Please pay.\n..\n"
    assert given["email"]["origin"] == ADA


async def test_what_is_too_large_is_refused_at_its_end(
    mailbox: Mailbox, settings: Settings, app: object
) -> None:
    async with serving(settings, mail_intake_size=0.1) as port:
        large = mail(("a.pdf", PDF + bytes(100_000)))
        refused = await send(port, large, mailbox.address)
        assert refused.startswith("552 ")
        assert (await give(port, mailbox, large + b".\r\n")).startswith("552 5.3.4")
        assert await send(port, mail(("a.pdf", PDF)), mailbox.address) == "250 2.0.0 Taken"
        # It never ends: the connection does.
        reader, writer = await connected(port)
        with closing(writer):
            commands = ("EHLO x.example", "MAIL FROM:<>", f"RCPT TO:<{mailbox.address}>", "DATA")
            await say((reader, writer), *commands)
            writer.write(b"x" * 1_000_000)
            async with asyncio.timeout(30):
                with pytest.raises(ConnectionError):  # noqa: PT012 - either of them
                    while True:
                        if not await reader.read(1000):
                            raise ConnectionResetError


async def test_mail_beyond_the_memory_waits_at_its_sender(
    mailbox: Mailbox, settings: Settings, app: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAILS_IN_MEMORY", 1)
    async with serving(settings, mail_intake_size=0.1) as port:
        reader, writer = await connected(port)
        with closing(writer):
            commands = ("EHLO x.example", "MAIL FROM:<>", f"RCPT TO:<{mailbox.address}>", "DATA")
            await say((reader, writer), *commands)
            writer.write(b"Subject: slow\r\n\r\n" + b"x" * 90_000)
            large = mail(("a.pdf", PDF + bytes(30_000)))
            while not (reply := await send(port, large, mailbox.address)).startswith("452 4.3.1"):
                assert reply == "250 2.0.0 Taken"
            assert (
                await send(port, mail(("a.pdf", PDF), message_id="<2@x>"), mailbox.address)
                == "250 2.0.0 Taken"
            )
            writer.write(b"\r\n.\r\n")
            assert await reply_of(reader) == "250 2.0.0 Taken"
        assert await send(port, large, mailbox.address) == "250 2.0.0 Taken"


async def test_connections_are_bounded(settings: Settings, app: object) -> None:
    async with serving(settings, mail_intake_connections=4) as port:
        opened = [await connected(port), await connected(port)]
        opened.append(await asyncio.open_connection("127.0.0.1", port))
        assert (await reply_of(opened[2][0])).startswith("421 4.3.2 Too many connections")
        assert await opened[2][0].read() == b""
        assert (await say(opened[1], "QUIT")).startswith("221 ")
        assert await opened[1][0].read() == b""
        opened.append(await connected(port))
        for _, writer in opened:
            writer.close()


async def test_recipients_are_bounded(mailbox: Mailbox, smtp_port: int) -> None:
    streams = await connected(smtp_port)
    with closing(streams[1]):
        await say(streams, "EHLO x.example", "MAIL FROM:<>")
        for _ in range(20):
            assert (await say(streams, f"RCPT TO:<{mailbox.address}>")).startswith("250 ")
        assert (await say(streams, f"RCPT TO:<{mailbox.address}>")).startswith("452 4.5.3")
        await say(streams, "RSET", "MAIL FROM:<>")
        for _ in range(9):
            assert (await say(streams, f"RCPT TO:<{'0' * 32}@example.com>")).startswith("550 ")
        assert (await say(streams, f"RCPT TO:<{'0' * 32}@example.com>")).startswith("421 ")
        assert await streams[0].read() == b""


async def test_who_says_nothing_is_hung_up_on(
    settings: Settings, app: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "COMMAND_SECONDS", 0.2)
    async with serving(settings) as port:
        reader, writer = await connected(port)
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()


async def test_starttls_with_the_given_certificate(
    mailbox: Mailbox, settings: Settings, app: object, certificate: tuple[Path, Path, Path]
) -> None:
    chain, key, authority = certificate
    files = {"mail_intake_certificate": str(chain), "mail_intake_key": str(key)}
    async with serving(settings, **files) as port:
        client = aiosmtplib.SMTP(
            hostname="localhost",
            port=port,
            start_tls=True,
            tls_context=ssl.create_default_context(cafile=str(authority)),
        )
        async with client:
            offered = await client.ehlo()
            assert "AUTH" not in offered.message
            assert "STARTTLS" not in offered.message
            await client.sendmail(ADA, [mailbox.address], mail(("a.pdf", PDF)))
    assert len(await mailbox.executions()) == 1
    with pytest.raises(SettingsError, match="PAGEMILL_MAIL_INTAKE_CERTIFICATE"):
        async with serving(settings, **{**files, "mail_intake_key": str(authority)}):
            pass


async def test_without_the_database_the_sender_tries_again(settings: Settings) -> None:
    async with serving(settings, database_url="postgresql://nobody@127.0.0.1:1/none") as port:
        reply = await send(port, mail(("a.pdf", PDF)), f"{'0' * 32}@localhost.localdomain")
    assert reply.startswith("451 4.3.0")


async def test_a_neighbour_is_not_delayed_by_what_is_refused(mailbox: Mailbox, smtp_port: int) -> None:
    bomb = b"From: a@b.cd\r\n\r\n" + b"\r\n" * 4_000_000 + b".\r\n"

    refused = [asyncio.create_task(give(smtp_port, mailbox, bomb)) for _ in range(3)]
    for number in range(3):
        content = mail(("a.pdf", PDF), message_id=f"<{number}@x>")
        assert await send(smtp_port, content, mailbox.address) == "250 2.0.0 Taken"
    assert {(await task)[:9] for task in refused} <= {"554 5.6.0", "452 4.3.1"}
    assert len(await mailbox.executions()) == 3


async def test_the_process_and_the_list(mailbox: Mailbox, settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PAGEMILL_")},
        **to_environment(settings),
        "PAGEMILL_MAIL_INTAKE_PORT": str(port),
        "PAGEMILL_MAIL_AUTHENTICATION": "off",
    }
    command = [sys.executable, "-m", "pagemill.cli", "mail-intake", "run"]
    process = await asyncio.to_thread(subprocess.Popen, command, env=environment)
    try:
        await asyncio.to_thread(
            eventually, lambda: smtp_answers("127.0.0.1", port), bool, seconds=60, pause=0.05
        )
        assert await send(port, mail(("a.pdf", PDF)), mailbox.address) == "250 2.0.0 Taken"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0
    finally:
        process.kill()
        process.wait()
    assert len(await mailbox.executions()) == 1

    def listed(*arguments: str) -> str:
        runner = CliRunner(env={"PAGEMILL_DATABASE_URL": settings.database_url})
        done = runner.invoke(main, ["mail-intake", "list", "--data-dir", str(tmp_path), *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    text = await asyncio.to_thread(listed)
    assert text.endswith(f"{mailbox.workflow_id}  started 1  {ADA}  <1@example.org>\n")
    [row] = json.loads(await asyncio.to_thread(listed, "--json", "--outcome", "started"))
    assert (row["outcome"], row["workflowId"]) == ("started", mailbox.workflow_id)
    assert await asyncio.to_thread(listed, "--outcome", "refused") == ""


def test_the_process_needs_a_port() -> None:
    done = CliRunner(env={"PAGEMILL_MAIL_INTAKE_PORT": "0"}).invoke(
        main,
        ["mail-intake", "run"],
        env={"PAGEMILL_DATABASE_URL": "postgresql://unused", "PAGEMILL_OBJECTS_URL": "file:///unused"},
    )
    assert done.exit_code == 1
    assert "PAGEMILL_MAIL_INTAKE_PORT: is needed" in done.output

"""Readings of mails: ordinary ones, malformed ones, and those that are meant to do harm."""

from __future__ import annotations

import email.message
import random

import pytest

from pagemill.mail_intake.mail import BODY_BYTES, MOST_DOCUMENTS, Mail
from pagemill.mail_intake.parsing import MOST_HEADER_LINES, parse_mail, valid_address
from pagemill.mail_intake.refusals import MailUnreadable
from tests.support.mails import ADA, JPEG, PDF, PNG, TIFF, ZIP, forwarded, mail, nested, raw

BOUNDARY = "Content-Type: multipart/mixed; boundary=x"


def parsed(content: bytes, sender: str = "envelope@example.net") -> Mail:
    return parse_mail(content, sender=sender)


def documents(found: Mail) -> list[tuple[str | None, bytes]]:
    return [(one.name, one.content) for one in found.documents]


def test_an_ordinary_mail() -> None:
    found = parsed(mail(("a.pdf", PDF), ("b.png", PNG), ("c.jpg", JPEG), ("d.tif", TIFF)))

    assert documents(found) == [("a.pdf", PDF), ("b.png", PNG), ("c.jpg", JPEG), ("d.tif", TIFF)]
    assert (found.subject, found.origin, found.body) == ("Invoices", ADA, "Please pay.\n")
    assert (found.message_id, found.ignored, found.authentication) == ("<1@example.org>", [], None)


@pytest.mark.parametrize("declared", ["application/pdf", "text/plain", "image/png", "x-strange/thing"])
def test_the_bytes_say_what_an_attachment_is(declared: str) -> None:
    found = parsed(mail(("a.pdf", PDF), ("b.zip", ZIP), ("c.txt", b"hello"), declared=declared))

    assert documents(found) == [("a.pdf", PDF)]
    assert found.ignored == [f"b.zip ({declared})", f"c.txt ({declared})"]


def test_a_webp_is_none_of_the_four() -> None:
    assert parsed(mail(("a.webp", b"RIFF\0\0\0\0WEBP"))).documents == []


def test_the_picture_of_a_signature_starts_nothing() -> None:
    message = email.message.EmailMessage()
    message["From"] = ADA
    message.set_content("Regards")
    message.add_alternative("<img src='cid:logo'>", subtype="html")
    html = message.get_payload()[1]
    html.add_related(PNG, "image", "png", cid="<logo>", filename="logo.png", disposition="inline")
    html.add_related(PDF, "application", "pdf", filename="terms.pdf")
    message.add_attachment(JPEG, "image", "jpeg", filename="scan.jpg", disposition="inline")

    found = parsed(message.as_bytes())
    assert documents(found) == [("terms.pdf", PDF), ("scan.jpg", JPEG)]
    assert found.body == "Regards\n"


def test_an_attached_mail_has_attachments_too_but_not_the_text() -> None:
    found = parsed(forwarded(mail(("inner.pdf", PDF), body="inner")))

    assert (documents(found), found.body, found.message_id) == ([("inner.pdf", PDF)], "", None)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (raw("Subject: a", body=["plain"]), "plain\n"),
        (raw("Content-Type: text/html", body=["<b>bold</b>"]), "<b>bold</b>\n"),
        (raw("Content-Type: text/plain; charset=iso-8859-1", body=["=E9"]), "=E9\n"),
        (
            raw(
                "Content-Type: text/plain; charset=latin-1",
                "Content-Transfer-Encoding: quoted-printable",
                body=["=E9"],
            ),
            "é\n",
        ),
        (raw("Content-Type: text/plain; charset=klingon", body=["ñ"]), "ñ\n"),
        (raw("Content-Type: text/plain; charset=zlib", body=["ñ"]), "ñ\n"),
        (raw("Content-Type: text/plain; charset=us-ascii", body=["\udcff\0\x1b[31m"]), "\ufffd[31m\n"),
        (raw("Content-Type: text/plain", "Content-Transfer-Encoding: base64", body=["!"]), ""),
    ],
)
def test_the_text_in_any_character_set(content: bytes, expected: str) -> None:
    assert parsed(content).body == expected


def test_a_long_text_is_cut_between_characters() -> None:
    body = parsed(raw("Content-Type: text/plain; charset=utf-8", body=["€" * BODY_BYTES])).body

    assert len(body.encode()) <= BODY_BYTES
    assert set(body) == {"€"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Ada <ada@example.org>", ADA),
        ('"Eve <eve@example.net>" <ada@example.org>', ADA),
        ("ada@example.org, bob@example.org", ADA),
        ("=?utf-8?q?Ad=C3=A1?= <ada@example.org>", ADA),
        ("undisclosed", "envelope@example.net"),
        ("", "envelope@example.net"),
        ("Ada <>", "envelope@example.net"),
        ("<a b@example.org>", "envelope@example.net"),
    ],
)
def test_the_origin_is_the_address_that_people_see(header: str, expected: str) -> None:
    content = f"From: {header}\r\nSubject: x\r\n\r\n".encode()
    assert parsed(content).origin == expected


@pytest.mark.parametrize("name", ["a\0b", "a\udc80b"])
def test_an_address_that_cannot_be_stored_is_none(name: str) -> None:
    content = f"From: {name}@example.org\r\n\r\n".encode(errors="surrogateescape")
    assert parsed(content, sender="<>").origin in ("", "a\ufffdb@example.org")
    assert parsed(b"Subject: x\r\n\r\n", sender=f"{name}@example.org").origin == ""


def test_without_any_sender_there_is_no_origin() -> None:
    assert parsed(b"Subject: x\r\n\r\n", sender="<>").origin == ""
    assert valid_address("a" * 250 + "@example.org") is None


def test_two_senders_are_refused() -> None:
    with pytest.raises(MailUnreadable, match="more than one From"):
        parsed(raw("From: eve@example.net"))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("=?utf-8?b?w6TDtsO8?=", "äöü"),
        ("=?utf-8?q?a=0D=0ABcc:_eve@example.net?=", "a Bcc: eve@example.net"),
        ("=?klingon?q?a?= b", "a b"),
        ("=?utf-8?b?!!!?=", ""),
        ("raw ü", "raw ü"),
        ("a\r\n\tfolded", "a folded"),
        ("\udcff", "\ufffd"),
        ("x" * 5000, "x" * 1000),
    ],
)
def test_a_subject_is_one_line_of_text(header: str, expected: str) -> None:
    assert parsed(raw(f"Subject: {header}")).subject == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('filename="../../etc/passwd.pdf"', "passwd.pdf"),
        (r'filename="C:\\Users\\ada\\a.pdf"', "a.pdf"),
        ("filename*=utf-8''%E2%82%AC.pdf", "€.pdf"),
        ('filename="=?utf-8?q?=E2=82=AC=2Epdf?="', "€.pdf"),
        ('filename="a\0b.pdf"', "ab.pdf"),
        (f'filename="{"x" * 900}"', "x" * 255),
    ],
)
def test_a_name_is_a_name_and_no_path(header: str, expected: str) -> None:
    content = raw(
        "Content-Type: application/pdf", f"Content-Disposition: attachment; {header}", body=[PDF.decode()]
    )
    assert [one.name for one in parsed(content).documents] == [expected]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (raw(*(f"X-{number}: x" for number in range(MOST_HEADER_LINES + 1))), "too many headers"),
        (raw("X: " + "x" * 300_000), "too many headers"),
        (b"X: y\r\n" * 50_000, "too many headers"),
        (b"X: y\r\n\r\n" + b"\n" * 1_000_001, "too many lines"),
        (nested(30), "nested too deeply"),
        (mail(*(("a.pdf", PDF) for _ in range(MOST_DOCUMENTS + 1))), "more than 50 documents"),
        (mail(*(("a.txt", b"x") for _ in range(1000))), "too many parts"),
    ],
    ids=["headers", "long", "endless", "lines", "nested", "documents", "parts"],
)
def test_what_is_too_much_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(MailUnreadable, match=reason):
        parsed(content)


def test_fifty_documents_are_fine() -> None:
    assert len(parsed(mail(*((f"{number}.pdf", PDF) for number in range(50)))).documents) == 50


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\n",
        b"\x00\xff\xfe",
        b": :\r\n\r\n",
        raw("Content-Type: multipart/mixed", body=["--x", "", "--x--"]),
        raw(BOUNDARY, body=["no part at all"]),
        raw("Content-Type: multipart/mixed; boundary=", body=["--", "", "a", "----"]),
        raw(BOUNDARY, body=["--x", BOUNDARY]),
        raw("Content-Type: message/rfc822", body=[""]),
        raw("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", body=["AAAA"]),
        raw("Content-Type: message/external-body; access-type=local-file; name=/etc/passwd", body=[""]),
        raw("Content-Type: message/partial; number=1; total=9", body=[""]),
        raw("Content-Type: application/pdf; name*0=a; name*1*=%FF; name*x=b", body=["x"]),
        raw("Content-Transfer-Encoding: x-uuencode", body=["begin 666", "#0V%T"]),
        raw("Content-Type: ;;;", "Content-Disposition: ;;;", body=["x"]),
        raw("Message-ID: " + "x" * 3000),
    ],
)  # fmt: skip
def test_a_malformed_mail_has_no_documents(content: bytes) -> None:
    assert parsed(content).documents == []


@pytest.mark.parametrize("seed", range(10))
def test_damaged_mails_are_read_or_refused(seed: int) -> None:
    """Whatever else is raised, the child that parses makes a refusal of."""
    drawn = random.Random(seed)
    whole = forwarded(mail(("a.pdf", PDF), ("b.png", PNG), subject="=?utf-8?q?=C3=A4?="))
    for _ in range(20):
        content = bytearray(whole)
        for _ in range(drawn.randint(1, 8)):
            position = drawn.randrange(len(content))
            content[position : position + drawn.randint(0, 30)] = drawn.randbytes(drawn.randint(0, 8))
        try:
            found = parsed(bytes(content))
        except (MailUnreadable, ValueError, LookupError, TypeError, AttributeError):
            continue
        for text in (found.subject, found.origin, found.body, *(one.name or "" for one in found.documents)):
            assert "\0" not in text
            text.encode()

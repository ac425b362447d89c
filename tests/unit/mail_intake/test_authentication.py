"""SPF and DKIM of mails, with the keys and records of a name server of this machine."""

from __future__ import annotations

import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pagemill.mail_intake import resolver as resolver_module
from pagemill.mail_intake.authentication import are_aligned, authenticate
from pagemill.mail_intake.mail import Authentication, Dkim, ReadRequest, Spf
from pagemill.mail_intake.resolver import Resolver
from tests.support.mails import ADA, PDF, mail
from tests.support.name_server import SILENT, Records, name_server

SELECTOR = ("key._domainkey.example.org", "TXT")


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)


def record_of(key: rsa.RSAPrivateKey) -> list[str]:
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return [f'"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"']


def signed(key: rsa.RSAPrivateKey, content: bytes, **options: object) -> bytes:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return bytes(dkim.sign(content, b"key", b"example.org", private, **options)) + content


def results(
    content: bytes, records: Records, *, sender: str = ADA, address: str = "192.0.2.1", origin: str = ADA
) -> Authentication:
    with name_server(records) as server:
        request = ReadRequest(
            sender=sender, client_address=address, client_name="mx.example.org", authenticate=True
        )
        return authenticate(content, request, origin=origin, resolver=Resolver([server]))


def test_a_signature_proves_the_domain(key: rsa.RSAPrivateKey) -> None:
    found = results(signed(key, mail(("a.pdf", PDF))), {SELECTOR: record_of(key)})

    assert found == Authentication(Spf("none", "example.org"), [Dkim("pass", "example.org")], aligned=True)


def test_a_changed_mail_has_no_valid_signature(key: rsa.RSAPrivateKey) -> None:
    content = signed(key, mail(("a.pdf", PDF))).replace(b"Please pay.", b"Please PAY.")

    found = results(content, {SELECTOR: record_of(key)})
    assert [one.result for one in found.dkim] in (["fail"], ["permerror"])
    assert not found.aligned


def test_a_signature_of_a_part_of_the_text_proves_nothing(key: rsa.RSAPrivateKey) -> None:
    content = signed(key, mail(), length=True) + b"behind it\r\n"

    found = results(content, {SELECTOR: record_of(key)})
    assert (found.dkim, found.aligned) == ([Dkim("policy", "example.org")], False)


def test_a_signature_of_another_domain_is_not_aligned(key: rsa.RSAPrivateKey) -> None:
    found = results(signed(key, mail()), {SELECTOR: record_of(key)}, origin="eve@example.net")

    assert (found.dkim, found.aligned) == ([Dkim("pass", "example.org")], False)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ([], "fail"),
        (['"p="'], "fail"),
        (['"v=DKIM1; p=!!!"'], "fail"),
        (['"nonsense"'], "fail"),
        (SILENT, "temperror"),
    ],
)
def test_keys_that_cannot_be_used(
    key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch, record: list[str], expected: str
) -> None:
    monkeypatch.setattr(resolver_module, "LOOKUP_SECONDS", 0.2)
    found = results(signed(key, mail()), {SELECTOR: record, ("example.org", "TXT"): ['"v=spf1 -all"']})

    assert [one.result in (expected, "permerror") for one in found.dkim] == [True]
    assert not found.aligned


@pytest.mark.parametrize(
    "header",
    [
        b"DKIM-Signature: \r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=; s=; b=; bh=; h=from\r\n",
        b"DKIM-Signature: v=1; a=rsa-md5; d=example.org; s=key; b=AAAA; bh=AAAA; h=from\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=\xff\xfe; s=key; b=AAAA; bh=AAAA; h=from\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=key; b=A; bh=A; h=from; l=x; t=x\r\n",
    ],
)
def test_malformed_signatures(header: bytes) -> None:
    found = results(header * 9 + mail(), {})

    assert len(found.dkim) == 5
    assert {one.result for one in found.dkim} <= {"fail", "permerror"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass"),
        ("v=spf1 a:mx.example.org -all", "pass"),
        ("v=spf1 mx -all", "pass"),
        ("v=spf1 include:other.example -all", "pass"),
        ("v=spf1 -all", "fail"),
        ("v=spf1 ~all", "softfail"),
        ("v=spf1 ?all", "neutral"),
        ("v=spf1 nonsense", "permerror"),
        ("v=spf1 include:example.org -all", "permerror"),
        ("no record", "none"),
    ],
)
def test_spf(record: str, expected: str) -> None:
    found = results(
        mail(),
        {
            ("example.org", "TXT"): [f'"{record}"'],
            ("example.org", "MX"): ["10 mx.example.org."],
            ("mx.example.org", "A"): ["192.0.2.1"],
            ("other.example", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"'],
        },
    )

    assert found.spf == Spf(expected, "example.org")  # type: ignore[arg-type]
    assert found.aligned == (expected == "pass")


def test_without_a_sender_the_name_of_the_machine_is_asked() -> None:
    records = {("mx.example.org", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"']}
    assert results(mail(), records, sender="<>").spf == Spf("pass", "mx.example.org")


def test_a_name_server_that_is_silent_takes_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "LOOKUP_SECONDS", 0.2)
    assert results(mail(), {("example.org", "TXT"): SILENT}).spf.result == "temperror"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("example.org", "EXAMPLE.org.", True),
        ("mail.example.org", "example.org", True),
        ("example.org", "bounce.mail.example.org", True),
        ("example.org", "badexample.org", False),
        ("example.org", "org", False),
        ("", "example.org", False),
        ("", "", False),
    ],
)
def test_alignment(one: str, other: str, expected: bool) -> None:
    assert are_aligned(one, other) is expected
    assert are_aligned(other, one) is expected

"""The stack's certificates: trusted by one file, made anew in time."""

from __future__ import annotations

import datetime
import ipaddress
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from pagemill.stack.certificates import CERTIFICATE_DAYS, RENEWED_DAYS_BEFORE, Certificates

NOW = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    certificates = Certificates(tmp_path)
    certificates.ensure(NOW)
    return certificates


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def days(number: int) -> datetime.timedelta:
    return datetime.timedelta(days=number)


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("localhost"),
        x509.DNSName("pagemill.localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ],
    ids=str,
)
def test_clients_that_trust_the_authority_trust_the_server(
    certificates: Certificates, name: x509.DNSName | x509.IPAddress
) -> None:
    verifier = PolicyBuilder().store(Store([read(certificates.authority)])).time(NOW + days(1))
    chain = verifier.build_server_verifier(name).verify(read(certificates.certificate), [])
    assert len(chain) == 2


def test_keys_are_private_and_the_authority_is_readable(certificates: Certificates) -> None:
    for key in (certificates.key, certificates.authority.with_suffix(".key")):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(certificates.authority.stat().st_mode) == 0o644


def test_granian_gets_the_kind_of_key_that_it_reads(certificates: Certificates) -> None:
    assert certificates.key.read_text().startswith("-----BEGIN PRIVATE KEY-----")


def test_nothing_changes_while_all_is_well(certificates: Certificates) -> None:
    before = (certificates.authority.read_bytes(), certificates.certificate.read_bytes())
    certificates.ensure(NOW + days(CERTIFICATE_DAYS - RENEWED_DAYS_BEFORE - 1))
    assert (certificates.authority.read_bytes(), certificates.certificate.read_bytes()) == before


def test_the_server_is_renewed_before_it_expires_and_clients_notice_nothing(
    certificates: Certificates,
) -> None:
    authority, server = certificates.authority.read_bytes(), read(certificates.certificate)
    later = NOW + days(CERTIFICATE_DAYS - RENEWED_DAYS_BEFORE + 1)
    certificates.ensure(later)
    assert certificates.authority.read_bytes() == authority
    assert read(certificates.certificate).serial_number != server.serial_number
    assert read(certificates.certificate).not_valid_after_utc > later + days(RENEWED_DAYS_BEFORE)


def test_a_certificate_of_an_earlier_release_gets_the_name_for_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates(tmp_path)
    with monkeypatch.context() as earlier:
        earlier.setattr("pagemill.stack.certificates.NAMES", ("localhost",))
        certificates.ensure(NOW)
    authority = certificates.authority.read_bytes()
    certificates.ensure(NOW)
    names = read(certificates.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName)

    assert "pagemill.localhost" in names.value.get_values_for_type(x509.DNSName)
    assert certificates.authority.read_bytes() == authority


def test_a_damaged_certificate_is_replaced(certificates: Certificates) -> None:
    certificates.certificate.write_text("no certificate")
    certificates.ensure(NOW)
    read(certificates.certificate).verify_directly_issued_by(read(certificates.authority))


def test_a_server_of_another_authority_is_replaced(certificates: Certificates, tmp_path: Path) -> None:
    other = Certificates(tmp_path / "other")
    (tmp_path / "other").mkdir()
    other.ensure(NOW)
    certificates.certificate.write_bytes(other.certificate.read_bytes())
    certificates.key.write_bytes(other.key.read_bytes())
    certificates.ensure(NOW)
    read(certificates.certificate).verify_directly_issued_by(read(certificates.authority))


def test_the_authority_can_speak_for_this_machine_only(certificates: Certificates) -> None:
    constraints = read(certificates.authority).extensions.get_extension_for_class(x509.NameConstraints)
    permitted = constraints.value.permitted_subtrees or []
    assert constraints.critical
    assert {str(name.value) for name in permitted} == {"localhost", "127.0.0.1/32", "::1/128"}

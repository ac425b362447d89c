"""Certificate authority of one stack, and the certificate of its API."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pagemill.containers.environment import HOST_NAME
from pagemill.stack.directory import write_private

HOST = "localhost"
NAMES = (HOST, HOST_NAME)
"""Names of the API: that of this machine for its own programs, and the one for containers."""
ADDRESSES = ("127.0.0.1", "::1")
AUTHORITY_DAYS = 3650
# More than 397 days is what browsers refuse of any authority but a user's own; 825 of that one too.
CERTIFICATE_DAYS = 397
RENEWED_DAYS_BEFORE = 60
BACKDATED = datetime.timedelta(hours=1)


class Certificates:
    """Files of the authority (``ca.pem``, for clients) and of the API (``server.pem``, ``server.key``)."""

    def __init__(self, directory: Path) -> None:
        self.authority = directory / "ca.pem"
        self._authority_key = directory / "ca.key"
        self.certificate = directory / "server.pem"
        self.key = directory / "server.key"

    def ensure(self, now: datetime.datetime) -> None:
        """Make what is missing, damaged or soon expired. Keep the authority as long as possible."""
        authority = _read_pair(self.authority, self._authority_key)
        if authority is None or _expires_soon(authority[0], now):
            authority = _make_authority(now)
            _write_pair(authority, self.authority, self._authority_key)
        server = _read_pair(self.certificate, self.key)
        if server is None or _expires_soon(server[0], now) or not _fits(authority[0], server[0]):
            _write_pair(_make_server(authority, now), self.certificate, self.key)


Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _read_pair(certificate: Path, key: Path) -> Pair | None:
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != read.public_key():
        return None
    return read, private


def _write_pair(pair: Pair, certificate: Path, key: Path) -> None:
    write_private(
        key,
        pair[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    write_private(certificate, pair[0].public_bytes(serialization.Encoding.PEM))
    certificate.chmod(0o644)


def _expires_soon(certificate: x509.Certificate, now: datetime.datetime) -> bool:
    return certificate.not_valid_after_utc - now < datetime.timedelta(days=RENEWED_DAYS_BEFORE)


def _fits(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Return whether a certificate is the authority's and has all names."""
    try:
        certificate.verify_directly_issued_by(authority)
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return set(NAMES) <= set(alternatives.get_values_for_type(x509.DNSName))
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a new certificate is the answer
        return False


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _make_authority(now: datetime.datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Pagemill local authority")
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        # Whoever steals this key can pretend to be this machine, and no other.
        .add_extension(x509.NameConstraints(permitted_subtrees=_permitted(), excluded_subtrees=None), True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _make_server(authority: Pair, now: datetime.datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [*map(x509.DNSName, NAMES), *(x509.IPAddress(ipaddress.ip_address(item)) for item in ADDRESSES)]
    certificate = (
        _builder(_name(HOST), authority[0].subject, key.public_key(), now, CERTIFICATE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority[1].public_key()), critical=False
        )
        .sign(authority[1], hashes.SHA256())
    )
    return certificate, key


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _permitted() -> list[x509.GeneralName]:
    # Names below localhost are permitted with it.
    return [x509.DNSName(HOST), *(x509.IPAddress(ipaddress.ip_network(item)) for item in ADDRESSES)]


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )

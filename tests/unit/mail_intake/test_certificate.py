"""The certificate for STARTTLS follows its files."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from pagemill.mail_intake.certificate import ServerCertificate, open_certificate
from pagemill.settings import Settings, SettingsError
from pagemill.stack.certificates import Certificates


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    made = Certificates(tmp_path)
    made.ensure(datetime.datetime.now(datetime.UTC))
    return made


def test_a_renewed_certificate_is_read_again_and_a_broken_one_is_not(certificates: Certificates) -> None:
    served = ServerCertificate(certificates.certificate, certificates.key)
    first = served.context()
    assert served.context() is first

    os.utime(certificates.certificate, (1, 1))
    second = served.context()
    assert second is not first

    whole = certificates.key.read_bytes()
    certificates.key.write_bytes(whole[:50])
    assert served.context() is second
    certificates.key.unlink()
    assert served.context() is second
    certificates.key.write_bytes(whole)
    os.utime(certificates.key, (2, 2))
    assert served.context() is not second


def test_files_that_cannot_be_read_are_named(certificates: Certificates) -> None:
    settings = Settings(
        database_url="postgresql://unused",
        objects_url="file:///unused",
        mail_intake_certificate=str(certificates.certificate),
        mail_intake_key="/nowhere",
    )
    with pytest.raises(SettingsError, match="PAGEMILL_MAIL_INTAKE_KEY: cannot be read"):
        open_certificate(settings)
    assert (
        open_certificate(Settings(database_url="postgresql://unused", objects_url="file:///unused")) is None
    )

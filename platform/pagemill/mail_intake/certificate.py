"""Certificate for STARTTLS, read again when its files change: most are renewed every few weeks."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from pagemill.settings import Settings, SettingsError

logger = logging.getLogger(__name__)


class ServerCertificate:
    """A certificate chain and its key, in PEM files."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read them. Raises OSError, and ssl.SSLError."""
        self._certificate, self._key = certificate, key
        self._read = self._changed()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection; files that cannot be read leave it as it was."""
        try:
            changed = self._changed()
            if changed != self._read:
                self._read, self._context = changed, self._load()
        except (OSError, ssl.SSLError) as error:
            logger.warning("the certificate %s could not be read again: %s", self._certificate, error)
        return self._context

    def _changed(self) -> tuple[int, int]:
        return self._certificate.stat().st_mtime_ns, self._key.stat().st_mtime_ns

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._certificate, self._key)
        return context


def open_certificate(settings: Settings) -> ServerCertificate | None:
    """Return the certificate of these settings, None without one. Raises SettingsError."""
    if not settings.mail_intake_certificate:
        return None
    try:
        return ServerCertificate(Path(settings.mail_intake_certificate), Path(settings.mail_intake_key))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"PAGEMILL_MAIL_INTAKE_CERTIFICATE, PAGEMILL_MAIL_INTAKE_KEY: cannot be read: {error}"
        ) from error

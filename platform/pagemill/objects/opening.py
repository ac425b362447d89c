"""Choice of the object storage by the settings."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pagemill.objects.local import LocalObjectStore
from pagemill.objects.store import ObjectStore
from pagemill.settings import Settings, SettingsError


def open_objects(settings: Settings) -> ObjectStore:
    """Return the storage of ``settings.objects_url``, not connected yet. Raises SettingsError."""
    url = urlsplit(settings.objects_url)
    if url.scheme == "file" and url.path:
        return LocalObjectStore(Path(unquote(url.path)))
    if url.scheme == "s3" and url.netloc:
        from pagemill.objects.s3 import S3ObjectStore  # aioboto3 takes half a second to import

        return S3ObjectStore(settings, url.netloc, url.path.strip("/"))
    raise SettingsError("PAGEMILL_OBJECTS_URL has to be file:///directory or s3://bucket/prefix")

"""Begin and end of recording: called by what starts a process, with its settings."""

from __future__ import annotations

from urllib.parse import urlsplit

from pagemill.settings import Settings
from pagemill.tracing.spans import is_recording, record_with

CLOSE_SECONDS = 3.0
"""Longest wait for a collector when a process ends."""
PATH = "/v1/traces"


def configure_tracing(settings: Settings, service: str) -> None:
    """Record the spans of this process as those of a service, where the settings name a collector.

    Blocks while OpenTelemetry is imported, a third of a second; does nothing when it records already.
    """
    if not settings.traces_url or is_recording():
        return
    from pagemill.tracing.recording import OpenTelemetryRecorder

    record_with(OpenTelemetryRecorder(endpoint_of(settings.traces_url), f"pagemill-{service}"))


def close_tracing(*, seconds: float = CLOSE_SECONDS) -> None:
    """Send what has been recorded, and record nothing more. Blocks; what takes longer is dropped."""
    recorder = record_with(None)
    if recorder is not None:
        recorder.close(seconds)


def endpoint_of(url: str) -> str:
    """Return the URL to which spans are sent: with the standard's path, unless it has one."""
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + PATH

"""Probes: whether a part answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import urllib.request
from pathlib import Path
from typing import Any

PROBE_SECONDS = 5.0


def api_answers(port: int, authority: Path) -> bool:
    """Return whether the API answers over TLS with a certificate that clients trust."""
    try:
        context = ssl.create_default_context(cafile=str(authority))
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=PROBE_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", "/health")
            return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def port_answers(port: int) -> bool:
    """Return whether somebody listens on this port of this machine."""
    try:
        with socket.create_connection(("127.0.0.1", port), PROBE_SECONDS):
            return True
    except OSError:
        return False


def smtp_answers(host: str, port: int) -> bool:
    """Return whether an SMTP server greets at an address; ``0.0.0.0`` and ``::`` mean this machine."""
    try:
        address = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
        with socket.create_connection((address, port), PROBE_SECONDS) as connection:
            return connection.recv(4).startswith(b"220")
    except OSError:
        return False


def url_answers(url: str) -> bool:
    """Return whether there is something at a URL of this machine that needs no token."""
    try:
        with _opener().open(url, timeout=PROBE_SECONDS):
            return True
    except (OSError, http.client.HTTPException):
        return False


def dashboard_json(url: str, path: str, token_file: Path) -> Any:
    """Return an answer of the Ray dashboard. Raises OSError or ValueError."""
    request = urllib.request.Request(
        url + path, headers={"Authorization": f"Bearer {token_file.read_text().strip()}"}
    )
    with _opener().open(request, timeout=PROBE_SECONDS) as answer:
        return json.load(answer)


def _opener() -> urllib.request.OpenerDirector:
    """Return what opens URLs of this machine, for which no proxy is asked."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))

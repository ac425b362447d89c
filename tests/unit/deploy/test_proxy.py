"""The example of a proxy in front of the API is one that nginx takes, and fits what the API does."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pagemill.api.http.request_bodies import CONTENT_BODY_BYTES
from pagemill.api.server import HEADER_MILLISECONDS
from pagemill.documents.content import MAXIMUM_FILE_BYTES
from pagemill.stack.certificates import Certificates

ROOT = Path(__file__).parents[3]
CONFIGURATION = ROOT / "deploy" / "proxy" / "nginx.conf"
MEGABYTE = 1024 * 1024
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")


def directive(text: str, name: str) -> list[str]:
    return re.findall(rf"^\s*{name}\s+([^;]+);", text, re.MULTILINE)


def test_the_bounds_of_the_proxy_let_through_what_the_api_takes() -> None:
    text = CONFIGURATION.read_text()
    general, token, files = directive(text, "client_max_body_size")
    assert int(general.removesuffix("m")) * MEGABYTE >= CONTENT_BODY_BYTES
    assert token == "16k"
    assert int(files.removesuffix("m")) * MEGABYTE > MAXIMUM_FILE_BYTES


def test_a_connection_to_the_api_is_never_kept_for_longer_than_the_api_keeps_it() -> None:
    text = CONFIGURATION.read_text()
    kept = min(float(value.removesuffix("s")) for value in directive(text, "keepalive_timeout"))
    assert kept < HEADER_MILLISECONDS / 1000


def test_a_client_cannot_say_where_it_comes_from() -> None:
    assert directive(CONFIGURATION.read_text(), "proxy_set_header X-Forwarded-For") == ["$remote_addr"]


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian package nginx-light)")
def test_nginx_takes_it(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    certificates = Certificates(tmp_path / "tls")
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    text = CONFIGURATION.read_text()
    for name, path in (
        ("pagemill.crt", certificates.certificate),
        ("pagemill.key", certificates.key),
        ("pagemill-ca.crt", certificates.authority),
    ):
        text = text.replace(f"/etc/nginx/tls/{name}", str(path))
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(f"pid {tmp_path}/nginx.pid;\nerror_log stderr;\n{text}")
    assert NGINX is not None
    done = subprocess.run(
        [NGINX, "-t", "-p", str(tmp_path), "-c", str(configuration)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr

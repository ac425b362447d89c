"""compose.yaml: what compose allows, what its parts refer to, and a typo in it is found."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.manifests.compose import faults_in, load, secrets_of
from tests.support.manifests.documents import DEPLOY

FILES = ("compose.yaml", "compose.env.example")


def test_it_holds() -> None:
    assert faults_in(DEPLOY) == []


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("compose.yaml", "services:", "service:"),
        ("compose.yaml", "restart: unless-stopped", "restart: unless-stoped"),
        ("compose.yaml", "read_only: true", "readonly: true"),
        ("compose.yaml", "cap_drop: [ALL]", "cap_drop: [NET_RAW]"),
        ("compose.yaml", "condition: service_healthy", "condition: healthy"),
        ("compose.yaml", "networks: [data]", "networks: [date]"),
        ("compose.yaml", "internal: true", "internal: false"),
        ("compose.yaml", "postgres:/var", "postgre:/var"),
        ("compose.yaml", "PAGEMILL_S3_ENDPOINT_URL", "PAGEMILL_S3_ENDPOINT"),
        ("compose.yaml", "PAGEMILL_TOKEN_KEY_FILE", "PAGEMILL_TOKEN_FILE"),
        ("compose.yaml", "/run/secrets/token-key", "/run/secrets/token-keys"),
        ("compose.yaml", "      - token-key\n", "      - token-keys\n"),
        ("compose.yaml", "file: ./secrets/token-key", "files: ./secrets/token-key"),
        ("compose.yaml", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN_PATHS"),
        ("compose.yaml", "--object-spilling-directory", "--object-spill-directory"),
        ("compose.yaml", "--dashboard-host=127.0.0.1", "--dashboard-hosts=127.0.0.1"),
        ("compose.yaml", "network_mode: service:node", "network_mode: service:nodes"),
        ("compose.yaml", "pid: service:node", "pid: service:ray"),
        ("compose.yaml", "ipc: shareable", "ipc: private"),
        ("compose.yaml", "smtp-password]\n", "smtp-password, token-key]\n"),
        ("compose.yaml", "pagemill-api:0.1.0", "pagemill-api:0.2.0"),
        ("compose.yaml", "library/postgres:18.6", "library/postgres:latest"),
        ("compose.yaml", "interval: 5s", "interval: five"),
        ("compose.yaml", "healthcheck:\n      test:", "healthchecks:\n      test:"),
        ("compose.yaml", "${READING_REPLICAS:-2}", "${READING_REPLICA:-2}"),
        ("compose.yaml", "${SMTP_HOST:-}", "${SMTP_HOST:-mail.example.com}"),
        ("compose.yaml", "  s3:\n", "  s3:\n    ports: ['8333:8333']\n"),
        ("compose.env.example", "API_PORT=", "API_PROT="),
        ("compose.env.example", "RAY_MEMORY=12g", "RAY_MEMORY=16g"),
    ],
)  # fmt: skip
def test_a_typo_is_found(tmp_path: Path, file: str, right: str, wrong: str) -> None:
    for name in FILES:
        shutil.copy(DEPLOY / name, tmp_path / name)
    planted = tmp_path / file
    before = planted.read_text()
    planted.write_text(before.replace(right, wrong, 1))

    assert planted.read_text() != before
    assert faults_in(tmp_path) != []


def test_only_three_services_have_the_keys_of_secrets() -> None:
    services = load()["services"]
    holders = {name for name, service in services.items() if "secret-keys" in secrets_of(service)}

    assert holders == {"api", "deployer", "mail-intake"}


def test_every_secret_is_made_once(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    command = [str(DEPLOY / "make-secrets"), str(directory)]
    subprocess.run(command, check=True, capture_output=True)
    first = {path.name: path.read_bytes() for path in directory.iterdir()}
    subprocess.run(command, check=True, capture_output=True)

    wanted = {Path(one["file"]).name for one in load()["secrets"].values()}
    assert wanted <= set(first)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == first
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o444}

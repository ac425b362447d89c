"""A Ray of the tests' own: local, small, in a directory and on ports of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping

NAMESPACE = "pagemill-tests"
ENVIRONMENT = {
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}


# Ray remembers the token of a process, so all clusters of one process have the same. A local Ray turns token
# authentication on by itself; RAY_AUTH_MODE would be overlooked where Ray had been imported before.
TOKEN_ENVIRONMENT = {"RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextlib.contextmanager
def local_ray(environment: Mapping[str, str], *, cpus: int = 2) -> Iterator[str]:
    """Ray with ``environment`` for all its workers; yields its address."""
    before = dict(os.environ)
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"):
        os.environ.pop(name, None)
    # Sockets lie below this directory, and their paths are limited to 107 bytes.
    directory = tempfile.mkdtemp(prefix="pmt-", dir="/tmp")
    os.environ.update({**ENVIRONMENT, **TOKEN_ENVIRONMENT, **environment})
    import ray  # takes its settings from the environment when it is imported

    try:
        context = ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            namespace=NAMESPACE,
            log_to_driver=False,
            object_store_memory=200 * 1024 * 1024,
            _temp_dir=directory,
        )
        yield context.address_info["gcs_address"]
    finally:
        ray.shutdown()
        shutil.rmtree(directory, ignore_errors=True)
        os.environ.clear()
        os.environ.update(before)


def run_driver(environment: Mapping[str, str]) -> None:
    """Deploy as the stack does: by a program that ends."""
    driver = subprocess.run(
        [sys.executable, "-m", "pagemill.cli", "deploy"],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert driver.returncode == 0, driver.stderr

"""A Ray of the tests' own: local, small, in a directory and on ports of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

NAMESPACE = "pagemill-tests"
ENVIRONMENT = {
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}


@contextlib.contextmanager
def local_ray(environment: Mapping[str, str], *, cpus: int = 2) -> Iterator[str]:
    """Ray with ``environment`` for all its workers; yields its address."""
    before = dict(os.environ)
    os.environ.pop("RAY_ADDRESS", None)
    # Sockets lie below this directory, and their paths are limited to 107 bytes.
    directory = tempfile.mkdtemp(prefix="pmt-", dir="/tmp")
    token = Path(directory, "token")
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    token_environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    os.environ.update({**ENVIRONMENT, **token_environment, **environment})
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
        # Each test has a loop of its own; the handles of this process must not live in the first one.
        os.environ["RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP"] = "1"
        yield context.address_info["gcs_address"]
    finally:
        ray.shutdown()
        shutil.rmtree(directory, ignore_errors=True)
        os.environ.clear()
        os.environ.update(before)

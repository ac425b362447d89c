"""An S3 server of a test's own."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "pages"
ACCESS_KEY_ID, SECRET_ACCESS_KEY = "a", "b"


@contextmanager
def running_s3(*buckets: str) -> Iterator[str]:
    """A server with these empty buckets and nothing else; yields its URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        # The servers of a process have one memory, and it outlives them.
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).close()
        for bucket in buckets:
            s3_client(endpoint).create_bucket(Bucket=bucket)
        yield endpoint
    finally:
        server.stop()


def s3_client(endpoint: str) -> Any:
    """A client that knows nothing of the platform."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        region_name="us-east-1",
    )


def s3_environment(endpoint: str, prefix: str) -> dict[str, str]:
    """The settings of a stack that keeps its objects there."""
    return {
        "PAGEMILL_OBJECTS_URL": f"s3://{BUCKET}/{prefix}",
        "PAGEMILL_S3_ENDPOINT_URL": endpoint,
        "PAGEMILL_S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "PAGEMILL_S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    }

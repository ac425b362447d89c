"""Object storage in a bucket of S3."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from typing import IO, Any

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from pagemill.errors import Unavailable
from pagemill.objects.store import (
    CHUNK_BYTES,
    Content,
    ObjectMissing,
    StoredObject,
    check_key,
    check_prefix,
    chunks,
)
from pagemill.settings import Settings

PART_BYTES = 8 * 1024 * 1024
"""S3 requires parts of at least 5 MiB, all but the last."""
MEMORY_BYTES = 64 * 1024
MISSING = ("NoSuchKey", "404", "NotFound")
DELETE_BATCH_SIZE = 1000
FIRST_REGION = "us-east-1"


class S3ObjectStore:
    """Objects below a prefix of a bucket. One client is opened when it is first needed, and kept."""

    def __init__(self, settings: Settings, bucket: str, prefix: str) -> None:
        self._settings = settings
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._stack = contextlib.AsyncExitStack()
        self._client: Any = None

    async def put(self, key: str, content: Content, *, durable: bool = True) -> int:
        """Write an object and return its size in bytes. Raises Unavailable, or the error of ``content``."""
        client = await self._ready()
        where = {"Bucket": self._bucket, "Key": self._name(key)}
        async with contextlib.aclosing(_parts(content)) as parts:
            first = await anext(parts)
            if first.size == PART_BYTES:
                return await self._put_parts(client, key, _chained(first, parts))
            with _storage_errors(key):
                await client.put_object(**where, Body=first.file)
        return first.size

    async def _put_parts(self, client: Any, key: str, parts: AsyncIterator[_Part]) -> int:
        where = {"Bucket": self._bucket, "Key": self._name(key)}
        with _storage_errors(key):
            upload = (await client.create_multipart_upload(**where))["UploadId"]
        size = 0
        sent: list[dict[str, Any]] = []
        try:
            async for part in parts:
                size += part.size
                number = len(sent) + 1
                with _storage_errors(key):
                    answer = await client.upload_part(
                        **where, UploadId=upload, PartNumber=number, Body=part.file
                    )
                sent.append({"PartNumber": number, "ETag": answer["ETag"]})
            with _storage_errors(key):
                await client.complete_multipart_upload(
                    **where, UploadId=upload, MultipartUpload={"Parts": sent}
                )
        except BaseException:
            # The caller needs the first error; the bucket's rules remove parts that stay after a failure.
            with contextlib.suppress(BotoCoreError, ClientError):
                await client.abort_multipart_upload(**where, UploadId=upload)
            raise
        return size

    async def get(self, key: str) -> bytes:
        """Return the whole object. Raises ObjectMissing, Unavailable."""
        return b"".join([piece async for piece in self.stream(key)])

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` up to, not including, ``end``. Raises ObjectMissing, Unavailable."""
        client = await self._ready()
        if end is not None and end <= start:
            await self.size(key)
            return
        options = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end else {}
        with _storage_errors(key):
            answer = await client.get_object(Bucket=self._bucket, Key=self._name(key), **options)
        body = answer["Body"]
        async with body:
            while True:
                with _storage_errors(key):
                    piece = await body.read(CHUNK_BYTES)
                if not piece:
                    return
                yield piece

    async def size(self, key: str) -> int:
        """Return the size in bytes. Raises ObjectMissing, Unavailable."""
        client = await self._ready()
        with _storage_errors(key):
            answer = await client.head_object(Bucket=self._bucket, Key=self._name(key))
        size: int = answer["ContentLength"]
        return size

    async def delete(self, key: str) -> None:
        """Delete an object, if there is one. Raises Unavailable."""
        client = await self._ready()
        with _storage_errors(key):
            await client.delete_object(Bucket=self._bucket, Key=self._name(key))

    async def delete_prefix(self, prefix: str) -> int:
        """Delete everything below a prefix; return how many objects there were. Raises Unavailable."""
        client = await self._ready()
        keys = [key async for key in self.list(prefix)]
        for begin in range(0, len(keys), DELETE_BATCH_SIZE):
            # Not all names are ours: Ray Train's have colons, and those of its directories end in a slash.
            names = [{"Key": self._prefix + key} for key in keys[begin : begin + DELETE_BATCH_SIZE]]
            with _storage_errors(prefix):
                await client.delete_objects(Bucket=self._bucket, Delete={"Objects": names, "Quiet": True})
        return len(keys)

    async def scan(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Yield the objects below a prefix in the order of their keys. Raises Unavailable."""
        client = await self._ready()
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + check_prefix(prefix)
        )
        with _storage_errors(prefix):
            async for page in pages:
                for item in page.get("Contents", []):
                    yield StoredObject(item["Key"].removeprefix(self._prefix), item["LastModified"])

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys below a prefix in their order. Raises Unavailable."""
        async for found in self.scan(prefix):
            yield found.key

    async def create_bucket(self) -> None:
        """Create the bucket, unless it is there and may be used. Raises Unavailable."""
        client = await self._ready()
        try:
            with _storage_errors(self._bucket):
                await client.head_bucket(Bucket=self._bucket)
        except ObjectMissing:
            region = self._settings.s3_region
            # S3 refuses the name of its first region here, and wants every other one.
            elsewhere = {} if region == FIRST_REGION else {"LocationConstraint": region}
            with _storage_errors(self._bucket):
                await client.create_bucket(
                    Bucket=self._bucket,
                    **({"CreateBucketConfiguration": elsewhere} if elsewhere else {}),
                )

    async def remove_unfinished(self) -> int:
        """Return 0: parts of uploads lie in files without a name, which go with their process."""
        return 0

    async def close(self) -> None:
        """Close the connections."""
        await self._stack.aclose()
        self._client = None

    async def _ready(self) -> Any:
        if self._client is None:
            settings = self._settings
            with _storage_errors("client"):
                self._client = await self._stack.enter_async_context(
                    aioboto3.Session().client(
                        "s3",
                        endpoint_url=settings.s3_endpoint_url,
                        aws_access_key_id=settings.s3_access_key_id,
                        aws_secret_access_key=settings.s3_secret_access_key,
                        region_name=settings.s3_region,
                        config=AioConfig(
                            connect_timeout=5,
                            read_timeout=60,
                            retries={"max_attempts": 3, "mode": "standard"},
                        ),
                    )
                )
        return self._client

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)


@contextlib.contextmanager
def _storage_errors(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in MISSING:
            raise ObjectMissing(key) from None
        raise Unavailable("The object storage is not available", detail=str(error)) from error
    except (BotoCoreError, OSError) as error:
        raise Unavailable("The object storage is not available", detail=str(error)) from error


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an upload; ``file`` is valid until the next part is requested."""

    file: IO[bytes]
    size: int


async def _parts(content: Content) -> AsyncGenerator[_Part, None]:
    """Yield the content in parts of ``PART_BYTES``; the last is shorter, perhaps empty.

    Parts are kept on disk: many slow uploads at the same time take no memory.
    """
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 - closed below
    size = 0
    try:
        async for piece in chunks(content):
            left = memoryview(piece)
            while left:
                taken = left[: PART_BYTES - size]
                await asyncio.to_thread(_write, file, taken)
                size += len(taken)
                left = left[len(taken) :]
                if size == PART_BYTES:
                    file.seek(0)
                    yield _Part(file, size)
                    file.seek(0)
                    file.truncate()
                    size = 0
        file.seek(0)
        yield _Part(file, size)
    finally:
        file.close()


def _write(file: IO[bytes], piece: memoryview) -> None:
    try:
        file.write(piece)
    except OSError as error:
        raise Unavailable("The object storage is not available", detail=str(error)) from error


async def _chained(first: _Part, others: AsyncIterator[_Part]) -> AsyncIterator[_Part]:
    yield first
    async for part in others:
        if part.size:
            yield part

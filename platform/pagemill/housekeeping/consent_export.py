"""All that is stored under a consent as one zip file.

``consent.json`` says what there is. Each document has a folder: the resource as the API shows it, its file,
the predictions of it, and what else is stored of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import zipfile
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from db import consents as statements
from db.statements import Connection, UntypedStatement
from pagemill.errors import PagemillError
from pagemill.housekeeping.consents import ConsentSummary, Progress, summarise_consent
from pagemill.ids import slug_of
from pagemill.objects import ObjectMissing, ObjectStore
from pagemill.objects.keys import document_prefix

ROWS_AT_ONCE = 200
ENDINGS = {
    "application/pdf": ".pdf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tiff",
    "image/webp": ".webp",
}
NAMES = {"content_md5": "contentMD5", "model_reference": "modelId"}
INTERNAL = ("content_key", "model_id")
"""Where bytes lie, and the plain form of a model's id."""


class ExportFailed(PagemillError):
    """The file cannot be written."""


class Contents(msgspec.Struct, rename="camel"):
    """What was written. ``missing`` are keys whose object is not there."""

    organization_id: str
    exported_time: datetime.datetime
    summary: ConsentSummary
    documents: int = 0
    predictions: int = 0
    missing: list[str] = []


async def export_consent(
    connection: Connection,
    objects: ObjectStore,
    organization_id: str,
    consent_id: str,
    path: Path,
    *,
    progress: Progress = lambda _documents: None,
) -> Contents:
    """Write the file; it is there as a whole or not at all, and only its owner may read it.

    Raises NotFound, and ExportFailed when the file cannot be written.
    """
    summary = await summarise_consent(connection, organization_id, consent_id)
    contents = Contents(organization_id, datetime.datetime.now(datetime.UTC), summary)
    partial = path.with_name(f".{path.name}.part")
    try:
        with _file_errors(path):
            # Left by an export that was killed, it may be readable by others.
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            export = _Export(connection, objects, contents, archive, path)
            await export.documents(progress)
            await export.write("consent.json", _json(contents))
        with _file_errors(path):
            os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return contents


class _Export:
    def __init__(
        self,
        connection: Connection,
        objects: ObjectStore,
        contents: Contents,
        archive: zipfile.ZipFile,
        path: Path,
    ) -> None:
        self._connection, self._objects = connection, objects
        self._contents, self._archive, self._path = contents, archive, path

    async def documents(self, progress: Progress) -> None:
        consent_id = self._contents.summary.consent_id
        async for row in self._rows(statements.CONSENT_DOCUMENTS, consent_id):
            folder = f"documents/{slug_of(row['id'])}/"
            await self.write(f"{folder}document.json", _json(_resource(row, "documentId")))
            await self._stored(folder, row)
            await self.write(f"{folder}predictions.json", self._predictions(row["id"]))
            self._contents.documents += 1
            progress(1)

    async def _stored(self, folder: str, row: Mapping[str, Any]) -> None:
        """The file, and beside it the words that were read and the pictures that were made of it."""
        prefix, current = document_prefix(self._contents.organization_id, row["id"]), row["content_key"]
        found = False
        async for key in self._objects.list(prefix):
            if key == current:
                found = True
                name = f"content{ENDINGS.get(row['content_type'], '')}"
            else:
                name = f"stored/{key.removeprefix(prefix)}"
            try:
                await self.write(folder + name, self._objects.stream(key))
            except ObjectMissing:
                self._contents.missing.append(key)
        if current is not None and not found:
            self._contents.missing.append(current)

    async def _predictions(self, document_id: str) -> AsyncIterator[bytes]:
        """A JSON list, however long."""
        separator = b"[\n"
        async for row in self._rows(statements.DOCUMENT_PREDICTIONS, document_id):
            yield separator + msgspec.json.encode(_resource(row, "predictionId"))
            separator = b",\n"
            self._contents.predictions += 1
        yield b"[]" if separator == b"[\n" else b"\n]"

    async def _rows(self, statement: UntypedStatement, of: str) -> AsyncIterator[Mapping[str, Any]]:
        after: tuple[datetime.datetime | None, str | None] = (None, None)
        while True:
            rows = await statement.fetch(
                self._connection, self._contents.organization_id, of, *after, ROWS_AT_ONCE
            )
            for row in rows:
                yield row
            if len(rows) < ROWS_AT_ONCE:
                return
            after = (rows[-1]["created_time"], rows[-1]["id"])

    async def write(self, name: str, content: bytes | AsyncIterable[bytes]) -> None:
        """One file of the archive. Raises ObjectMissing before it has begun."""
        pieces = _pieces(content)
        first = await anext(pieces, b"")
        information = zipfile.ZipInfo(name, self._contents.exported_time.timetuple()[:6])
        information.compress_type = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
        information.external_attr = 0o600 << 16
        with self._archive.open(information, "w", force_zip64=True) as file:
            with _file_errors(self._path):
                await asyncio.to_thread(file.write, first)
            async for piece in pieces:
                with _file_errors(self._path):
                    await asyncio.to_thread(file.write, piece)


@contextlib.contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportFailed(f"{path} cannot be written: {error.strerror}") from error


async def _pieces(content: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    async for piece in content:
        yield piece


def _resource(row: Mapping[str, Any], name_of_id: str) -> dict[str, Any]:
    """A row with the names that the API gives to its members."""
    return {
        name_of_id if column == "id" else NAMES.get(column) or _camel(column): value
        for column, value in row.items()
        if column not in INTERNAL
    }


def _camel(column: str) -> str:
    first, *others = column.split("_")
    return first + "".join(other.capitalize() for other in others)


def _json(content: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content))

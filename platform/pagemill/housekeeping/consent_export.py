"""Export of all data under a consent as one zip file.

``consent.json`` has the summary. Each document has a folder with the document as the API shows it, its file,
its predictions, and its other objects.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import zipfile
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from db import consents as statements
from db.documents import DocumentRow
from db.predictions import PredictionRow
from db.statements import Connection, Row
from pagemill.errors import PagemillError
from pagemill.housekeeping.consents import ConsentSummary, Progress, summarise_consent
from pagemill.ids import ConsentId, DocumentId, OrganizationId, slug_of
from pagemill.objects import ObjectMissing, ObjectStore
from pagemill.objects.keys import document_prefix

PAGE_SIZE = 200
SUFFIXES = {
    "application/pdf": ".pdf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tiff",
    "image/webp": ".webp",
}
NAMES = {"content_md5": "contentMD5", "model_reference": "modelId"}
INTERNAL = ("content_key", "model_id")
"""Columns that are not exported: keys of objects, and a model's id without its organization."""


class ExportFailed(PagemillError):
    """Error of an export whose file cannot be written."""


class ExportReport(msgspec.Struct, rename="camel"):
    """ExportReport of an export; ``missing`` are the keys of objects that do not exist."""

    organization_id: OrganizationId
    exported_time: datetime.datetime
    summary: ConsentSummary
    documents: int = 0
    predictions: int = 0
    missing: list[str] = []


async def export_consent(
    connection: Connection,
    objects: ObjectStore,
    organization_id: OrganizationId,
    consent_id: ConsentId,
    path: Path,
    *,
    progress: Progress = lambda _documents: None,
) -> ExportReport:
    """Write the zip file ``path``, readable only by its owner, as a whole or not at all.

    Raises NotFound, and ExportFailed when the file cannot be written.
    """
    summary = await summarise_consent(connection, organization_id, consent_id)
    report = ExportReport(organization_id, datetime.datetime.now(datetime.UTC), summary)
    partial = path.with_name(f".{path.name}.part")
    try:
        with _file_errors(path):
            # Left by an export that was killed, it may be readable by others.
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            export = _Export(connection, objects, report, archive, path)
            await export.documents(progress)
            await export.write("consent.json", _json(report))
        with _file_errors(path):
            os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return report


class _Export:
    def __init__(
        self,
        connection: Connection,
        objects: ObjectStore,
        report: ExportReport,
        archive: zipfile.ZipFile,
        path: Path,
    ) -> None:
        self._connection, self._objects = connection, objects
        self._report, self._archive, self._path = report, archive, path

    async def documents(self, progress: Progress) -> None:
        """Write the folders of all documents."""
        async for row in self._documents():
            folder = f"documents/{slug_of(row.id)}/"
            await self.write(f"{folder}document.json", _json(_resource(row, "documentId")))
            await self._write_objects(folder, row)
            await self.write(f"{folder}predictions.json", self._predictions(row.id))
            self._report.documents += 1
            progress(1)

    async def _write_objects(self, folder: str, row: DocumentRow) -> None:
        """Write a document's file, and its words and thumbnails."""
        prefix, current = document_prefix(self._report.organization_id, row.id), row.content_key
        found = False
        async for key in self._objects.list(prefix):
            if key == current:
                found = True
                name = f"content{SUFFIXES.get(row.content_type or '', '')}"
            else:
                name = f"stored/{key.removeprefix(prefix)}"
            try:
                await self.write(folder + name, self._objects.stream(key))
            except ObjectMissing:
                self._report.missing.append(key)
        if current is not None and not found:
            self._report.missing.append(current)

    async def _documents(self) -> AsyncIterator[DocumentRow]:
        last: DocumentRow | None = None
        while True:
            rows = await statements.list_documents(
                self._connection,
                organization_id=self._report.organization_id,
                consent_id=self._report.summary.consent_id,
                after_time=None if last is None else last.created_time,
                after_id=None if last is None else last.id,
                limit=PAGE_SIZE,
            )
            for row in rows:
                yield row
            if len(rows) < PAGE_SIZE:
                return
            last = rows[-1]

    async def _predictions(self, document_id: DocumentId) -> AsyncIterator[bytes]:
        """Yield the predictions of a document as a JSON list, piece by piece."""
        separator = b"[\n"
        last: PredictionRow | None = None
        while True:
            rows = await statements.list_predictions(
                self._connection,
                organization_id=self._report.organization_id,
                document_id=document_id,
                after_time=None if last is None else last.created_time,
                after_id=None if last is None else last.id,
                limit=PAGE_SIZE,
            )
            for row in rows:
                yield separator + msgspec.json.encode(_resource(row, "predictionId"))
                separator = b",\n"
                self._report.predictions += 1
            if len(rows) < PAGE_SIZE:
                break
            last = rows[-1]
        yield b"[]" if separator == b"[\n" else b"\n]"

    async def write(self, name: str, content: bytes | AsyncIterable[bytes]) -> None:
        """Write one file of the archive. Raises ObjectMissing before anything is written."""
        pieces = _pieces(content)
        first = await anext(pieces, b"")
        information = zipfile.ZipInfo(name, self._report.exported_time.timetuple()[:6])
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


def _resource(row: Row, name_of_id: str) -> dict[str, Any]:
    """Return a row with the names that the API gives to its members."""
    return {
        name_of_id if column == "id" else NAMES.get(column) or _camel(column): value
        for column, value in msgspec.structs.asdict(row).items()
        if column not in INTERNAL
    }


def _camel(column: str) -> str:
    first, *others = column.split("_")
    return first + "".join(other.capitalize() for other in others)


def _json(content: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content))

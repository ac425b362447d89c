"""Parquet files of data bundles: one row for each page, and whole documents in each file.

======================  =============================================================================
column                  value
======================  =============================================================================
``document``            id of the document
``page``                index of the page, from 0
``aspect``              width / height of the page as shown
``source``              ``text`` or ``ocr``: how the page was read
``words``               words of the page in reading order
``boxes``               box of each word: x0, y0, x1, y1 in 0..1 of the page, origin at the top left
``confidences``         confidence of each word, in 0..1
``labels``              ground truth of the document as JSON, the same for all of its pages
======================  =============================================================================
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import accumulate, groupby, islice
from typing import Any

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from pagemill.extraction.types import Example, GroundTruth, Page, Word

SCHEMA = pa.schema(
    [
        pa.field("document", pa.string(), nullable=False),
        pa.field("page", pa.int32(), nullable=False),
        pa.field("aspect", pa.float64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("words", pa.list_(pa.string()), nullable=False),
        pa.field("boxes", pa.list_(pa.list_(pa.float64(), 4)), nullable=False),
        pa.field("confidences", pa.list_(pa.float64()), nullable=False),
        pa.field("labels", pa.string(), nullable=False),
    ]
)
COMPRESSION = "zstd"

_labels_decoder = msgspec.json.Decoder(GroundTruth)


def to_table(examples: Iterable[Example]) -> Any:
    """Return the pages of documents as a table of ``SCHEMA``. A document without pages has no row."""
    rows = [(example, page) for example in examples for page in example.pages]
    words = [word for _, page in rows for word in page.words]
    offsets = pa.array([0, *accumulate(len(page.words) for _, page in rows)], pa.int32())
    labels = {id(example): msgspec.json.encode(example.ground_truth).decode() for example, _ in rows}
    coordinates = [value for word in words for value in (word.x0, word.y0, word.x1, word.y1)]
    boxes = pa.FixedSizeListArray.from_arrays(pa.array(coordinates, pa.float64()), 4)
    columns = [
        pa.array([example.document_id for example, _ in rows], pa.string()),
        pa.array([page.index for _, page in rows], pa.int32()),
        pa.array([page.aspect for _, page in rows], pa.float64()),
        pa.array([page.source for _, page in rows], pa.string()),
        pa.ListArray.from_arrays(offsets, pa.array([word.text for word in words], pa.string())),
        pa.ListArray.from_arrays(offsets, boxes),
        pa.ListArray.from_arrays(offsets, pa.array([word.confidence for word in words], pa.float64())),
        pa.array([labels[id(example)] for example, _ in rows], pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def from_table(table: Any) -> Iterator[Example]:
    """Yield the documents of a table of ``SCHEMA``, whose pages follow each other."""
    rows = zip(_pages(table), *(table[name].to_pylist() for name in ("document", "labels")), strict=True)
    for document_id, of_document in groupby(rows, key=lambda row: row[1]):
        pages = list(of_document)
        yield Example(document_id, [page for page, *_ in pages], _labels_decoder.decode(pages[0][2]))


def joined(tables: Iterable[Any]) -> Any:
    """Return the rows of several tables as one."""
    return pa.concat_tables(tables)


def with_only(table: Any, documents: Iterable[str]) -> Any:
    """Return the rows of some documents."""
    return table.filter(pc.is_in(table["document"], value_set=pa.array(list(documents), pa.string())))


def encode(table: Any) -> bytes:
    """Return the Parquet file of a table."""
    file = io.BytesIO()
    pq.write_table(table, file, compression=COMPRESSION)
    return file.getvalue()


def decode(content: bytes) -> Any:
    """Return the table of a Parquet file. Raises pyarrow.ArrowException, or KeyError for another schema."""
    return pq.read_table(io.BytesIO(content)).select(SCHEMA.names).cast(SCHEMA)


def _pages(table: Any) -> Iterator[Page]:
    lengths = pc.list_value_length(table["words"]).to_pylist()
    coordinates = pc.list_flatten(pc.list_flatten(table["boxes"])).to_pylist()
    words = map(
        Word,
        pc.list_flatten(table["words"]).to_pylist(),
        *(islice(coordinates, corner, None, 4) for corner in range(4)),
        pc.list_flatten(table["confidences"]).to_pylist(),
    )
    for index, aspect, source, length in zip(
        *(table[name].to_pylist() for name in ("page", "aspect", "source")), lengths, strict=True
    ):
        yield Page(index, aspect, source, list(islice(words, length)))

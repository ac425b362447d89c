"""Contents of data bundles: which documents are in which Parquet file (``bundle_files``) below the prefix.

They are written after the files. Their name begins with an underscore, so that tools that read the files as
one data set leave them out.
"""

from __future__ import annotations

import msgspec

from pagemill.objects.store import ObjectStore

NAME = "_contents.json"


class BundleFile(msgspec.Struct, frozen=True):
    """A Parquet file of a bundle, by its name below the bundle's prefix, and the documents in it."""

    name: str
    documents: list[str]


class BundleContents(msgspec.Struct, frozen=True):
    """The Parquet files of a bundle, in the order of the documents."""

    files: list[BundleFile]


_decoder = msgspec.json.Decoder(BundleContents)


async def save_contents(objects: ObjectStore, bundle_key: str, contents: BundleContents) -> None:
    """Write the contents of a bundle, whose files are there. Raises Unavailable."""
    await objects.put(bundle_key + NAME, msgspec.json.encode(contents))


async def load_contents(objects: ObjectStore, bundle_key: str) -> BundleContents:
    """Return the contents of a bundle. Raises ObjectMissing, Unavailable."""
    return _decoder.decode(await objects.get(bundle_key + NAME))

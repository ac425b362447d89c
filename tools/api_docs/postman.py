"""The Postman collection, made from the document by Postman's converter (npm openapi-to-postmanv2)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any, TypeAlias

from tools.api_docs.document import DIRECTORY

Json: TypeAlias = dict[str, Any]

COLLECTION = DIRECTORY / "pagemill.postman_collection.json"
SOURCE = Path(__file__).parent
CACHE = Path(__file__).parents[2] / ".cache" / "api_docs"
MANIFESTS = ("package.json", "package-lock.json")
INSTALL_SECONDS = 180
CONVERT_SECONDS = 120
MADE_FROM = "openapiSha256"
"""Variable of the collection that has the checksum of the document that it was made from."""
NAMESPACE = uuid.UUID("6f0d3c52-8c1e-4a0b-9d43-8a8f2f1f7c11")
"""Of the ids in the collection: the converter's are new in every run."""


class ConverterUnavailable(Exception):
    """Node, npm or the packages of the converter are not there."""


def checksum(document: str) -> str:
    """Return the checksum that a collection made from this document carries."""
    return hashlib.sha256(document.encode()).hexdigest()


def collection_text(document: str) -> str:
    """Return the collection made from the document, the same in every run. Raises ConverterUnavailable."""
    node = shutil.which("node")
    if node is None:
        raise ConverterUnavailable("node is not installed")
    done = subprocess.run(
        [node, str(SOURCE / "convert.cjs")],
        env={**os.environ, "NODE_PATH": str(_installed())},
        input=document,
        capture_output=True,
        text=True,
        check=True,
        timeout=CONVERT_SECONDS,
    )
    collection = _settled(json.loads(done.stdout))
    collection["variable"].append({"key": MADE_FROM, "value": checksum(document)})
    return json.dumps(collection, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _settled(collection: Json) -> Json:
    """Return the collection with ids made from its names, and of the answers only the successful ones."""
    name = collection["info"]["name"]
    info = {**collection["info"], "_postman_id": _id(name)}
    return {**collection, "info": info, "item": [_settled_item(item, name) for item in collection["item"]]}


def _settled_item(item: Json, parent: str) -> Json:
    """Return a folder or a request with settled ids; ``parent`` is the path of its folder."""
    path = item.get("request", {}).get("url", {}).get("path", [])
    place = "/".join([parent, item["name"], *path])
    settled = {**item, "id": _id(place)}
    if "item" in item:
        settled["item"] = [_settled_item(one, place) for one in item["item"]]
    if "response" in item:
        settled["response"] = [
            {**one, "id": _id(f"{place}/{one['name']}")} for one in item["response"] if one["code"] < 300
        ]
    return settled


def _id(place: str) -> str:
    return str(uuid.uuid5(NAMESPACE, place))


def _installed() -> Path:
    """Return the directory of the installed packages; each state of the lock file has its own."""
    manifests = [SOURCE / name for name in MANIFESTS]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in manifests)).hexdigest()[:16]
    directory = CACHE / digest
    complete = directory / "complete"
    if not complete.exists():
        _install(directory, manifests)
        complete.touch()
    return directory / "node_modules"


def _install(directory: Path, manifests: list[Path]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ConverterUnavailable("npm is not installed")
    directory.mkdir(parents=True, exist_ok=True)
    for path in manifests:
        shutil.copy(path, directory)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(
            command, cwd=directory, capture_output=True, text=True, check=True, timeout=INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ConverterUnavailable(f"npm ci took longer than {INSTALL_SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        raise ConverterUnavailable(f"npm ci failed: {error.stderr.strip()[-400:]}") from None

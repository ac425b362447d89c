"""References of container images, in the grammar of the OCI distribution specification."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pagemill.errors import BadRequest
from pagemill.settings import SettingsError

LONGEST_REFERENCE = 512
LONGEST_NAME = 255

# Each pattern is matched against one part of the reference, so that none backtracks over the whole.
_HOST_PART = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?")
_PORT = re.compile(r"[0-9]{1,5}")
_PATH_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,256}")


def checked_image_reference(reference: str, member: str) -> str:
    """Return the reference as given. Raises BadRequest, naming the member, when it is malformed."""
    if not is_image_reference(reference):
        raise BadRequest(f"{member}: is not an image reference like name, registry/name:tag or name@digest")
    return reference


def is_image_reference(reference: str) -> bool:
    """Return whether a text is ``[host[:port]/]path[/path...][:tag][@digest]``."""
    if not 0 < len(reference) <= LONGEST_REFERENCE:
        return False
    rest, at, digest = reference.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return False
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        name, colon = rest, ""
    if colon and not _TAG.fullmatch(tag):
        return False
    return len(name) <= LONGEST_NAME and _is_name(name)


def read_image_replacements(setting: str) -> dict[str, str]:
    """Return the images to run in place of others. Raises SettingsError naming the entry that is wrong."""
    replacements = {}
    for entry in filter(None, (part.strip() for part in setting.split(","))):
        name, _, image = entry.partition("=")
        if not is_image_reference(name) or not is_image_reference(image):
            raise SettingsError(f"PAGEMILL_STEP_IMAGES: {entry} is not name=image")
        replacements[_short(name)] = image
    return replacements


def replaced_image(reference: str, replacements: Mapping[str, str]) -> str:
    """Return the image to run for a reference: with its tag or digest it counts more than without."""
    short = _short(reference)
    return replacements.get(short) or replacements.get(_without_version(short)) or reference


def _short(reference: str) -> str:
    """Return a reference without the registry that every engine adds."""
    return reference.removeprefix("docker.io/").removeprefix("library/")


def _without_version(reference: str) -> str:
    """Return a reference without its tag and its digest."""
    rest, _, _ = reference.partition("@")
    name, colon, tag = rest.rpartition(":")
    return name if colon and "/" not in tag else rest


def _is_name(name: str) -> bool:
    first, slash, rest = name.partition("/")
    path = name
    if slash and _names_a_host(first):
        if not _is_host(first):
            return False
        path = rest
    return all(_PATH_PART.fullmatch(part) for part in path.split("/"))


def _names_a_host(part: str) -> bool:
    return "." in part or ":" in part or part == "localhost" or part != part.lower()


def _is_host(part: str) -> bool:
    host, colon, port = part.partition(":")
    if colon and not _PORT.fullmatch(port):
        return False
    return all(_HOST_PART.fullmatch(label) for label in host.split("."))

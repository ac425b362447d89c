"""Names of images: which registry has them, and whether what they mean can change."""

from __future__ import annotations

from typing import Final

LOCAL: Final = "localhost/"
"""Beginning of the names of images that no registry has: the engine's operator made them."""


def is_local(image: str) -> bool:
    """Return whether no registry has the image."""
    return image.startswith(LOCAL)


def has_digest(image: str) -> bool:
    """Return whether the name always means the same image."""
    return "@" in image


def with_registry(image: str) -> str:
    """Return an image's reference with its registry: credentials are for one."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return image
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"


def registry_of(image: str) -> str:
    """Return host and port of an image's registry."""
    return with_registry(image).partition("/")[0]


def with_tag(image: str) -> str:
    """Return an image's reference with a tag or a digest: an engine takes one without either for all tags."""
    return image if has_digest(image) or ":" in image.rpartition("/")[2] else f"{image}:latest"

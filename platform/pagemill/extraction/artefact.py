"""Artefact of a training: the weights, and the configuration needed to use them."""

from __future__ import annotations

import msgspec


class Artefact(msgspec.Struct, frozen=True):
    """A trained extractor. ``weights`` are safetensors, ``configuration`` is JSON: neither can run code."""

    weights: bytes
    configuration: bytes

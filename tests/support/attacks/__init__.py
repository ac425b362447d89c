"""Attacks: code that runs in real sandboxed children in place of their parsers, as after an exploit."""

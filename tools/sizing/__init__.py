"""Sizes of an installation, computed from what was measured: ``python -m tools.sizing --help``."""

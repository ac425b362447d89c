"""Pagemill: a self-hosted, actor-based job platform for documents."""

__version__ = "0.1.0"

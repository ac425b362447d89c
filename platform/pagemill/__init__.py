"""Pagemill: a self-hosted, actor-based job platform for documents."""


def __getattr__(name: str) -> str:
    """Return ``__version__``, which pyproject.toml says and the installed package knows.

    It is looked up when it is asked for: the confined children, which never ask, start without it.
    """
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)

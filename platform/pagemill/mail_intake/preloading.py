"""Loading of what the parser of mail and the questions to name servers import when they first need it.

A child in its sandbox could not import it any more.
"""

from __future__ import annotations

import contextlib
import email.contentmanager
import email.generator
import email.headerregistry
import email.iterators
import email.policy  # noqa: F401
import encodings
import importlib
import pkgutil
from types import ModuleType
from typing import Final

AUTHENTICATION: Final = ("pagemill.mail_intake.authentication", "dns.rdtypes.ANY", "dns.rdtypes.IN")


def preload_parsers() -> None:
    """Load all encodings, since a mail may name any; and what authenticates mail, where it is installed."""
    _import_all(encodings)
    for name in AUTHENTICATION:
        with contextlib.suppress(ImportError):
            _import_all(importlib.import_module(name))


def _import_all(package: ModuleType) -> None:
    """Import the modules of a package that this system can import."""
    for one in pkgutil.iter_modules(getattr(package, "__path__", ())):
        with contextlib.suppress(ImportError):
            importlib.import_module(f"{package.__name__}.{one.name}")

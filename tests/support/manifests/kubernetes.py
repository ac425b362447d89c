"""All checks of deploy/kubernetes."""

from __future__ import annotations

from pathlib import Path

from tests.support.manifests.documents import load
from tests.support.manifests.open_values import wrong_values
from tests.support.manifests.promises import broken_promises
from tests.support.manifests.references import missing_references
from tests.support.manifests.schemas import broken_schemas


def faults_in(directory: Path) -> list[str]:
    """Return the faults of the manifests below a directory. References are checked once schemas hold."""
    documents = load(directory)
    broken = [fault for document in documents for fault in broken_schemas(document)]
    return broken or [
        *missing_references(documents),
        *broken_promises(documents),
        *wrong_values(documents),
    ]

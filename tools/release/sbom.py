"""SBOM (CycloneDX) of all that the platform stands on, with licences and with what needs what.

The list with the hashes says what there is on all machines. Licences and the graph come from the packages
that are installed here: what another machine alone needs has none.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.spdx import is_expression, is_supported_id
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from tools.release.constraints import environments, parse
from tools.release.programs import ReleaseError, run

LONGEST_NAME = 80
"""Some packages have the text of their licence where its name belongs."""
LICENSE_CLASSIFIER = "License :: "


def bill_of_materials(root: Path, requirements: Path) -> str:
    """Return the SBOM of a hashed list as JSON. Raises ReleaseError when it does not follow its schema."""
    command = (
        *(sys.executable, "-m", "cyclonedx_py", "requirements", requirements),
        *("--pyproject", root / "pyproject.toml", "--mc-type", "application"),
        *("--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON"),
    )
    bill = json.loads(run(command, cwd=root))
    installed = {canonicalize_name(one.metadata["Name"]): one for one in distributions()}
    for component in bill["components"]:
        del component["description"]
        if found := installed.get(canonicalize_name(component["name"])):
            component.update(_description(found))
    bill["dependencies"] = _graph(bill, _requirements_of(root), installed)
    if missing := {pin.name for pin in parse(requirements.read_text())} - {
        canonicalize_name(one["name"]) for one in bill["components"]
    }:
        raise ReleaseError(f"not in the SBOM: {', '.join(sorted(missing))}")
    text = json.dumps(bill, indent=2, sort_keys=True) + "\n"
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ReleaseError(f"the SBOM does not follow its schema: {error}")
    return text


def _description(package: Distribution) -> dict[str, Any]:
    """Return summary and licences of an installed package."""
    metadata = package.metadata
    found = {"description": metadata["Summary"]} if metadata["Summary"] else {}
    if names := _license_names(package):
        return {**found, "licenses": [_license(name) for name in names]}
    return found


def _license_names(package: Distribution) -> list[str]:
    metadata = package.metadata
    for name in (metadata["License-Expression"], metadata["License"]):
        if name and len(name) <= LONGEST_NAME and "\n" not in name:
            return [name]
    classifiers = metadata.get_all("Classifier") or []
    return [one.rpartition(" :: ")[2] for one in classifiers if one.startswith(LICENSE_CLASSIFIER)]


def _license(name: str) -> dict[str, Any]:
    if is_supported_id(name):
        return {"license": {"id": name}}
    return {"expression": name} if is_expression(name) else {"license": {"name": name}}


def _requirements_of(root: Path) -> list[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return list(project["dependencies"])


def _graph(
    bill: dict[str, Any], own: Iterable[str], installed: Mapping[NormalizedName, Distribution]
) -> list[dict[str, Any]]:
    """Return what each component needs of the others, on any machine that is supported."""
    references = {canonicalize_name(one["name"]): one["bom-ref"] for one in bill["components"]}
    texts = {name: (installed[name].requires or []) if name in installed else [] for name in references}
    root = bill["metadata"]["component"]["bom-ref"]
    needs = {root: list(own)} | {references[name]: found for name, found in texts.items()}
    parsed = {ref: [Requirement(one) for one in found] for ref, found in needs.items()}
    extras: dict[str, set[str]] = {ref: {""} for ref in parsed}
    for requirement in (one for found in parsed.values() for one in found):
        name = canonicalize_name(requirement.name)
        if name in references:
            extras[references[name]].update(requirement.extras)
    return [
        {
            "ref": ref,
            "dependsOn": sorted(
                {
                    references[name]
                    for one in found
                    if (name := canonicalize_name(one.name)) in references and _is_needed(one, extras[ref])
                }
            ),
        }
        for ref, found in parsed.items()
    ]


def _is_needed(requirement: Requirement, extras: Iterable[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate({**machine, "extra": extra}) for machine in environments() for extra in extras
    )

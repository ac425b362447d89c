"""Commands and files that deploy/README.md tells an operator of are there."""

from __future__ import annotations

import re

from tests.support.manifests.documents import DEPLOY, ROOT, load
from tests.support.manifests.engine import BASE
from tests.support.mentioned import (
    code_in,
    commands_in,
    known_settings,
    make_targets,
    settings_in,
    targets_in,
    unknown_in,
)

README = (DEPLOY / "README.md").read_text()
MADE = {"deploy/secrets", "deploy/.env", "deploy/kubernetes/foundation/secrets.local.yaml"}
"""Files that a release, or the operator, makes."""
BLOCKS = "\n".join(code for code in code_in(README))


def test_every_command_and_target_exists() -> None:
    # Not what kubectl is told of the namespace and of the secret of that name.
    commands = commands_in(re.sub(r"(-n|get secret) pagemill ", "", README))

    assert len(commands) >= 2
    assert [(one, unknown) for one in commands for unknown in unknown_in(one)] == []
    assert {"release"} <= targets_in(README) <= make_targets()
    assert settings_in(README) - {BASE.removeprefix("PAGEMILL_")} <= known_settings()


def test_every_file_exists() -> None:
    mentioned = set(re.findall(r"(?<![\w/])(?:deploy|docs|tests)/[\w./-]*\w", BLOCKS))
    missing = {path for path in mentioned if not any(path.startswith(one) for one in MADE)}

    assert {"deploy/compose.yaml", "deploy/kubernetes/platform"} <= mentioned
    assert {path for path in missing if not (ROOT / path).exists()} == set()


def test_everything_is_applied() -> None:
    applied = re.findall(r"kubectl apply -k (\S+)", BLOCKS)

    assert [path.rpartition("/")[2] for path in applied] == [
        "foundation",
        "migration",
        "platform",
        "monitoring",
        "mail-intake",
        "steps",
        "platform",
    ]
    assert {path.parent.name for path in (DEPLOY / "kubernetes").rglob("kustomization.yaml")} == {
        path.rpartition("/")[2] for path in applied
    }


def test_objects_that_commands_name_exist() -> None:
    documents = load(DEPLOY / "kubernetes")
    there = {f"{one.kind.lower()}/{one.name}" for one in documents}

    named = set(re.findall(r"\b(?:job|deployment)/[a-z-]+", BLOCKS))
    assert named == {"job/pagemill-migrate", "deployment/pagemill-api"}
    assert named <= there


def test_the_build_arguments_are_those_of_the_images() -> None:
    declared = {
        name
        for path in (DEPLOY / "containers").glob("Containerfile.*")
        for name in re.findall(r"^ARG (\w+)", path.read_text(), re.MULTILINE)
    }

    assert set(re.findall(r"--build-arg (\w+)=", BLOCKS)) == declared

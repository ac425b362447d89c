"""README.md and docs: commands parse, settings and files exist, links lead somewhere, tables are new."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from pagemill.cli import main
from pagemill.settings import Settings
from pagemill.stack.reachable import binaries
from tests.support.mentioned import known_settings, make_targets, settings_in
from tests.support.shell import commands_of, spans_in
from tools.documents.parts import DOCUMENTS as COMPUTED
from tools.documents.parts import filled
from tools.documents.settings_table import documented_settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*DOCUMENTS, *sorted((ROOT / "docs").rglob("*/*.md"))]
POSTGRES = ("pg_dump", "pg_restore", "psql")
ELSEWHERE = ("kubectl", "helm", "docker", "podman")
INSIDE = ("--", "entrypoint")
"""Marks the commands of containers."""
PLACES = (
    *(
        "benchmarks",
        "db",
        "deploy",
        "docs",
        "examples",
        "platform",
        "serve_apps",
        "tests",
        "tools",
        "train_jobs",
    ),
    *("cluster.yaml", "constraints.txt", "pyproject.toml", "Makefile"),
)
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)

COMMANDS_RUN_BY = {
    "audit": "tests/integration/commands/test_roles.py::test_what_the_operator_does_is_recorded",
    "backup": "tests/integration/stack/test_backup.py::test_a_restored_stack_serves_what_there_was",
    "consents delete": "tests/integration/housekeeping/test_consents.py::test_the_commands",
    "consents export": "tests/integration/housekeeping/test_consents.py::test_the_commands",
    "datasets share": (
        "tests/integration/api/resources/test_shared_datasets.py::test_commands_say_what_is_wrong"
    ),
    "datasets unshare": (
        "tests/integration/api/resources/test_shared_datasets.py::test_what_is_not_shared_is_unknown"
    ),
    "deploy": (
        "tests/integration/serve_apps/test_on_ray.py::test_deploying_the_same_release_restarts_no_dispatcher"
    ),
    "deployment-environments define": (
        "tests/integration/commands/test_deployment_environments.py"
        "::test_options_that_are_not_given_keep_their_value"
    ),
    "deployment-environments list": (
        "tests/integration/commands/test_deployment_environments.py"
        "::test_the_list_shows_the_number_of_trainings"
    ),
    "down": "tests/integration/stack/test_up.py::test_it_runs_stops_and_finds_its_data_again",
    "env": "tests/integration/stack/test_up.py::test_it_runs_stops_and_finds_its_data_again",
    "executions cancel": (
        "tests/integration/api/resources/test_executions_by_operators.py"
        "::test_an_execution_is_cancelled_with_its_step"
    ),
    "executions list": (
        "tests/integration/api/resources/test_executions_by_operators.py"
        "::test_executions_are_listed_by_what_the_operator_asks_for"
    ),
    "executions retry": (
        "tests/integration/api/resources/test_executions_by_operators.py"
        "::test_an_execution_that_waits_is_tried_again"
    ),
    "executions show": (
        "tests/integration/api/resources/test_executions_by_operators.py"
        "::test_an_execution_is_told_from_its_beginning"
    ),
    "jobs cancel": "tests/integration/jobs/test_job_administration.py::test_the_commands",
    "jobs kinds": "tests/integration/jobs/test_new_kind.py::test_the_operator_sees_a_new_kind",
    "jobs list": "tests/integration/jobs/test_job_administration.py::test_the_commands",
    "jobs retry": "tests/integration/jobs/test_job_administration.py::test_the_commands",
    "jobs show": "tests/integration/jobs/test_job_administration.py::test_the_commands",
    "keys list": "tests/integration/api/auth/test_key_rotation.py::test_keys_are_listed",
    "keys rotate": "tests/integration/api/auth/test_key_rotation.py::test_a_key_that_has_leaked_is_revoked",
    "mail-intake list": "tests/integration/mail_intake/test_smtp.py::test_the_process_and_the_list",
    "mail-intake run": "tests/integration/mail_intake/test_smtp.py::test_the_process_and_the_list",
    "migrate": "tests/integration/deploy/test_start_commands.py::test_the_migration_prepares_empty_stores",
    "models share": (
        "tests/integration/api/resources/test_shared_models.py::test_the_operator_starts_and_ends_sharing"
    ),
    "models unshare": (
        "tests/integration/api/resources/test_shared_models.py::test_the_operator_starts_and_ends_sharing"
    ),
    "node run": "tests/unit/stack/test_ray_node.py::test_the_command_line_passes_everything_on",
    "node start": "tests/integration/stack/test_cluster_start.py::test_a_cluster_starts_and_a_node_leaves",
    "node stop": "tests/unit/stack/test_ray_node.py::test_stopping_what_was_never_started",
    "objects sweep": "tests/integration/housekeeping/test_orphaned_objects.py::test_the_command",
    "organizations retention": (
        "tests/integration/api/resources/test_erased_values.py::test_retention_takes_the_values_too"
    ),
    "people allow": (
        "tests/integration/commands/test_people.py::test_how_many_organizations_a_person_may_create"
    ),
    "people code": "tests/integration/commands/test_people.py::test_a_code_for_somebody_with_an_account",
    "plans apply": "tests/integration/usage/test_plan_changes.py::test_the_commands",
    "plans list": "tests/integration/usage/test_plan_changes.py::test_the_commands",
    "plans statement": "tests/integration/usage/test_plan_changes.py::test_the_commands",
    "restore": "tests/integration/stack/test_backup.py::test_a_restored_stack_serves_what_there_was",
    "roles define": "tests/integration/commands/test_roles.py::test_define_show_change_and_remove",
    "roles list": "tests/integration/commands/test_roles.py::test_define_show_change_and_remove",
    "roles remove": "tests/integration/commands/test_roles.py::test_define_show_change_and_remove",
    "roles show": "tests/integration/commands/test_roles.py::test_define_show_change_and_remove",
    "secrets new-key": "tests/integration/housekeeping/test_secret_rotation.py::test_new_keys_can_be_used",
    "secrets rotate": "tests/integration/housekeeping/test_secret_rotation.py::test_the_command",
    "status": "tests/integration/stack/test_up.py::test_it_runs_stops_and_finds_its_data_again",
    "traces": "tests/unit/tracing/test_trees.py::test_the_command_shows_what_is_sent_to_it",
    "trainings approve": (
        "tests/integration/commands/test_trainings.py::test_an_approved_training_is_queued_once"
    ),
    "trainings cancel": (
        "tests/integration/commands/test_trainings.py::test_a_queued_training_is_cancelled_with_its_job"
    ),
    "trainings follow": (
        "tests/integration/commands/test_trainings.py::test_a_training_is_followed_until_it_has_ended"
    ),
    "trainings list": (
        "tests/integration/commands/test_trainings.py::test_the_list_is_of_all_organizations_or_of_one"
    ),
    "trainings plot": "tests/integration/commands/test_trainings.py::test_the_learning_curve_is_plotted",
    "trainings show": (
        "tests/integration/commands/test_trainings.py"
        "::test_why_a_training_has_failed_is_shown_after_its_job_is_gone"
    ),
    "up": "tests/integration/stack/test_up.py::test_it_runs_stops_and_finds_its_data_again",
    "webhooks attempts": (
        "tests/integration/work/test_webhooks.py::test_a_failed_delivery_is_shown_and_can_be_replayed"
    ),
    "webhooks list": (
        "tests/integration/work/test_webhooks.py::test_a_failed_delivery_is_shown_and_can_be_replayed"
    ),
    "webhooks replay": (
        "tests/integration/work/test_webhooks.py::test_a_failed_delivery_is_shown_and_can_be_replayed"
    ),
}
"""The test that runs each command of ``pagemill``: what a document tells is done somewhere."""

RAY_COMMANDS_RUN_BY = {
    "drain-node": "benchmarks/cluster_nodes.py",
    "exec": "tests/integration/tools/test_cluster_setup.py",
    "list": "tests/acceptance/test_ray_dashboard.py",
    "start": "benchmarks/cluster_nodes.py",
    "status": "tests/acceptance/test_ray_dashboard.py",
    "up": "tests/integration/tools/test_cluster_setup.py",
}
"""The test, or the rehearsal, that runs each command of Ray that a document tells."""
RUN_BY_NOBODY = {"dashboard", "stop"}
"""One forwards a port by ssh, for as long as it runs; the other ends every Ray of a machine."""


@pytest.fixture(scope="module", params=DOCUMENTS, ids=lambda path: path.name)
def document(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def parsed(group: click.Command, words: list[str]) -> None:
    """Parse a command as it would be; nothing is run. Raises click.ClickException."""
    command, path = group, []
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        path.append(words[0])
        command, words = command.commands[words[0]], words[1:]
    if not words:
        return  # It is mentioned.
    if isinstance(command, click.Group) and not words[0].startswith("-"):
        raise click.UsageError(f"there is no command {words[0]}")
    with command.make_context(" ".join(path), list(words)):
        return


def is_help(words: list[str]) -> bool:
    return words[-1] in ("--help", "--version")


@pytest.fixture(autouse=True)
def any_file_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that commands name are examples."""
    monkeypatch.setattr(click.Path, "convert", lambda _self, value, _parameter, _context: value)


def test_commands_of_pagemill_parse(document: Path) -> None:
    for words in commands_of(document.read_text(), ["pagemill"]):
        if not is_help(words):
            parsed(main, words[1:])


def test_commands_of_ray_parse(document: Path) -> None:
    from ray.scripts.scripts import cli

    for words in commands_of(document.read_text(), ["ray"]):
        parsed(cli, words[1:])


@pytest.mark.parametrize(
    "words",
    [["jobs", "explode", "JOB"], ["jobs", "list", "--colour", "red"], ["jobs", "show", "A", "B"], ["launch"]],
)
def test_a_command_that_does_not_parse_is_found(words: list[str]) -> None:
    with pytest.raises(click.ClickException):
        parsed(main, words)


def test_make_does_what_is_told(document: Path) -> None:
    targets = {word for words in commands_of(document.read_text(), ["make"]) for word in words[1:]}
    assert targets <= make_targets()
    if targets:
        subprocess.run(["make", "-n", *sorted(targets)], cwd=ROOT, capture_output=True, check=True)


def test_programs_of_postgres_have_the_options(document: Path) -> None:
    for words in commands_of(document.read_text(), POSTGRES):
        told = subprocess.run([binaries() / words[0], "--help"], capture_output=True, text=True, check=True)
        options = [word.partition("=")[0] for word in words[1:] if word.startswith("--")]
        assert [option for option in options if option not in told.stdout] == [], words


def test_modules_that_are_run_exist(document: Path) -> None:
    for words in commands_of(document.read_text(), ["python"]):
        if words[1] == "-m":
            assert importlib.util.find_spec(words[2]) is not None, words


@pytest.mark.parametrize("program", ELSEWHERE)
def test_other_programs_have_the_options(document: Path, program: str) -> None:
    commands = commands_of(document.read_text(), [program])
    if not commands:
        return
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed here")
    for words in commands:
        verbs = [word for word in words[1:3] if re.fullmatch(r"[a-z]+", word)]
        told = subprocess.run([program, *verbs, "--help"], capture_output=True, text=True, check=False)
        own = itertools.takewhile(lambda word: word not in INSIDE, words[1:])
        options = [word.partition("=")[0] for word in own if word.startswith("--")]
        assert [option for option in options if option not in told.stdout + told.stderr] == [], words


def test_every_command_is_run_by_a_test() -> None:
    assert sorted(COMMANDS_RUN_BY) == sorted(leaves(main))
    support = "".join(path.read_text() for path in (ROOT / "tests" / "support").glob("*.py"))
    for command, test in COMMANDS_RUN_BY.items():
        file, _, name = test.partition("::")
        source = (ROOT / file).read_text()
        assert f"def {name}(" in source, test
        assert re.search(rf'["\s]{command.split()[-1]}["\s]', source + support), (command, test)


def test_every_command_of_ray_is_run_somewhere(document: Path) -> None:
    told = {words[1] for words in commands_of(document.read_text(), ["ray"])}
    assert told - RAY_COMMANDS_RUN_BY.keys() <= RUN_BY_NOBODY
    for command in told & RAY_COMMANDS_RUN_BY.keys():
        assert f'"{command}"' in (ROOT / RAY_COMMANDS_RUN_BY[command]).read_text(), command


def leaves(group: click.Group, path: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path}{name} ")
        else:
            yield path + name


def test_settings_exist(document: Path) -> None:
    """Those that are no field of Settings are read somewhere else."""
    others = settings_in(document.read_text()) - known_settings()
    assert others - other_variables() - settings_in((ROOT / "Makefile").read_text()) == set()


@functools.cache
def other_variables() -> set[str]:
    """Return the names of variables that the code reads."""
    files = [
        file
        for room in ("platform", "benchmarks", "tests", "examples")
        for file in (ROOT / room).rglob("*.py")
    ]
    return {
        name
        for file in files
        if file != Path(__file__)
        for name in re.findall(r'"PAGEMILL_([A-Z_]+)"', file.read_text())
    }


def test_every_setting_is_documented() -> None:
    names = [one.name for one in documented_settings()]
    assert names == [f"PAGEMILL_{field.name.upper()}" for field in msgspec.structs.fields(Settings)]
    told = settings_in((ROOT / "docs" / "settings.md").read_text())
    assert known_settings() - told == set()


@pytest.mark.parametrize("path", COMPUTED, ids=lambda path: path.name)
def test_computed_parts_are_new(path: Path) -> None:
    """``make docs`` writes them: after a setting was added, or figures were measured again."""
    text = path.read_text()
    assert filled(text) == text


def test_files_exist(document: Path) -> None:
    named = [span for span in spans_in(document.read_text()) if re.fullmatch(r"[\w./*-]+", span)]
    ours = [span for span in named if span.split("/")[0] in PLACES]
    assert [span for span in ours if not any(ROOT.glob(span.rstrip("/")))] == []


@pytest.mark.parametrize("path", LINKED, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        if anchor:
            assert anchor in set(anchors_of(linked.read_text())), target


def anchors_of(text: str) -> Iterator[str]:
    """The anchors that GitHub makes of headings."""
    for heading in HEADING.findall(text):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")

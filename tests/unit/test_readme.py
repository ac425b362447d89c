"""What the README promises is there: its program, its commands, its rooms and its figures."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

from tests.support.mentioned import (
    commands_in,
    known_settings,
    make_targets,
    settings_in,
    targets_in,
    unknown_in,
)
from tests.support.readme import main_job_program

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "benchmarks" / "results"


def test_the_main_job_is_a_valid_program_of_less_than_30_lines() -> None:
    program = main_job_program()

    ast.parse(program)
    assert len(program.splitlines()) < 30


def test_every_make_target_that_is_mentioned_exists() -> None:
    assert {"demo", "test", "help", "bench"} <= targets_in(README) <= make_targets()


def test_every_setting_that_is_mentioned_exists() -> None:
    assert {"TOKEN_KEY", "SECRET_KEYS"} <= settings_in(README) - {"DATA"} <= known_settings()


def test_every_command_that_is_mentioned_exists() -> None:
    commands = commands_in(README)

    assert ["up"] in commands
    assert [(one, unknown) for one in commands for unknown in unknown_in(one)] == []


def test_every_room_that_is_mentioned_exists() -> None:
    rooms = re.findall(r"^\| `([^`]+)` \|", README, re.MULTILINE)

    assert len(rooms) >= 10
    assert [room for room in rooms if not (ROOT / room).is_dir()] == []


def measured(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def test_the_figures_of_extraction_are_those_that_were_measured() -> None:
    for name, corpus in measured("accuracy")["corpora"].items():
        for gate in corpus["gates"].values():
            assert re.search(rf"^\| {name}\b.*\b{gate['reached']:.1f}\b", README, re.MULTILINE), (name, gate)


def test_the_figures_of_the_api_are_those_that_were_measured() -> None:
    found = measured("api")
    for name in ("getDocument", "getPrediction"):
        one = found[name]
        ours = f"{one['perSecond']} a second, p50 {one['p50Ms']:.1f} ms, p99 {one['p99Ms']:.1f} ms"
        assert f"| {ours} | {one['reference']['perSecond']} a second |" in README
    pages, upload = found["listMillion"], found["upload"]
    assert f"| {pages['page1Ms']} ms, {pages['page5000Ms']} ms |" in README
    assert f"| {upload['megabytesAdded64']:.0f} MB, {upload['megabytes32Parallel']:.0f} MB |" in README


def test_the_figures_of_jobs_are_those_that_were_measured() -> None:
    found = measured("jobs")
    drained, accepted = found["drain"]["jobsPerSecond"], found["accept"]["perSecond"]
    assert f"| {drained['pagemill']:,} a second | pgqueuer {drained['pgqueuer']:,}, " in README
    assert f"procrastinate {drained['procrastinate']:,} |" in README
    assert f"| {accepted['pagemill']:,} a second |" in README
    assert f"pgqueuer {accepted['pgqueuer']:,}, procrastinate {accepted['procrastinate']:,} |" in README
    latency, idle = found["syncLatencyMs"], found["idleCpuPercent"]
    parts = latency["parts"]["sum"]
    assert f"| p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms |" in README
    assert (
        f"{parts['paused']:.1f} ms at the pace of a job, {parts['backToBack']:.1f} ms back to back |"
        in README
    )
    assert f"| {idle['ours']} % of a core | Ray with Serve and one replica: {idle['bareRay']} % |" in README
    stages = {name: f"{value:.1f}" for name, value in latency["stages"].items()}
    text = " ".join(README.split())
    assert f"{stages['untilTransaction']} ms pass until its transaction begins" in text
    assert f"{stages['untilClaim']} until a dispatcher has claimed it" in text
    assert f"{stages['untilOutcome']} until it is done" in text
    assert f"take {stages['ofWhichReadingAndPredicting']} of them" in text
    assert f"{stages['untilAnswer']} until its caller has the answer" in text


def test_the_figures_of_counting_are_those_that_were_measured() -> None:
    found = measured("usage")
    hot, many = (found[name]["grantedPerSecond"] for name in ("hotOrganization", "manyOrganizations"))
    assert f"| {hot['actor']:,} a second | a guarded `UPDATE` each: {hot['reference']:,} |" in README
    assert f"| {many['actor']:,} a second; {many['combiner']:,} in the counter's own process |" in README
    assert f"| a guarded `UPDATE` each: {many['reference']:,} |" in README

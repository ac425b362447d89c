"""Every set-up command of cluster.yaml, run as ``ray up`` runs it, in a home directory of its own."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pagemill import __version__
from tests.support.cluster_home import (
    DEPENDENCY,
    ROOT,
    SECONDS,
    NodeHome,
    cluster_file,
    operators_directory,
    write_sums,
)

CLUSTER = cluster_file()
SETUP: list[str] = CLUSTER["setup_commands"]
[WITHOUT_VENV] = [command for command in SETUP if "apt-get" in command]
[INSTALL] = [command for command in SETUP if "--require-hashes" in command]
[SUMS] = [command for command in SETUP if "sha256sum" in command]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    [wheel] = built.glob("*.whl")
    return operators_directory(tmp_path_factory.mktemp("operator"), wheel)


def new_node(home: Path, files: Path) -> NodeHome:
    node = NodeHome(home)
    node.copy(files, CLUSTER["file_mounts"])
    return node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, files: Path) -> NodeHome:
    node = new_node(tmp_path_factory.mktemp("node"), files)
    node.set_up(SETUP)
    return node


def python(node: NodeHome, code: str) -> str:
    done = node.run(f"~/pagemill/venv/bin/python -c '{code}'")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_node_has_this_release_and_what_it_stands_on(node: NodeHome) -> None:
    said = node.run(". ~/pagemill/environment && pagemill --version")
    assert f"version {__version__}+" in said.stdout
    assert python(node, "import pagemill; print(pagemill.__file__)").startswith(str(node.home))
    # No nvidia-smi is there.
    assert python(node, f"import {DEPENDENCY}; print({DEPENDENCY}.VERSION)") == "1"


def test_what_is_private_is_closed(node: NodeHome) -> None:
    for name, mode in (("ray-token", 0o600), ("pagemill.env", 0o600), ("spill", 0o700)):
        assert stat.S_IMODE((node.home / "pagemill" / name).stat().st_mode) == mode


@pytest.mark.long
def test_the_commands_can_run_again(node: NodeHome) -> None:
    node.set_up(SETUP)


def test_a_node_with_a_gpu_gets_the_other_list(node: NodeHome) -> None:
    node.program("nvidia-smi", "exit 0")
    try:
        assert node.run(INSTALL).returncode == 0
        assert python(node, f"import {DEPENDENCY}; print({DEPENDENCY}.VERSION)") == "2"
    finally:
        (node.programs / "nvidia-smi").unlink()


def test_a_file_with_another_hash_is_refused(node: NodeHome, files: Path) -> None:
    listed = node.home / "pagemill/dist/constraints-hashed-cpu.txt"
    right = listed.read_text()
    try:
        listed.write_text(right.replace("sha256:", "sha256:0000", 1)[:-5] + "\n")
        # pip would keep what is installed already.
        python(node, f"import pathlib, {DEPENDENCY} as it; pathlib.Path(it.__file__).unlink()")
        assert node.run(f"~/pagemill/venv/bin/pip uninstall --quiet --yes {DEPENDENCY}").returncode == 0
        refused = node.run(INSTALL)
        assert refused.returncode != 0
        assert "HASH" in refused.stderr.upper()
    finally:
        listed.write_text(right)


@pytest.mark.parametrize("damaged", ["*.whl", "constraints-hashed.txt"])
def test_files_that_changed_on_the_way_are_refused(tmp_path: Path, files: Path, damaged: str) -> None:
    node = new_node(tmp_path / "home", files)
    assert node.run(SUMS).returncode == 0
    [path] = (node.home / "pagemill/dist").glob(damaged)
    path.write_bytes(path.read_bytes() + b"more")
    refused = node.run(SUMS)
    assert refused.returncode != 0
    assert f"{path.name}: FAILED" in refused.stdout


def test_a_wheel_of_a_former_release_is_passed_over(node: NodeHome) -> None:
    dist = node.home / "pagemill/dist"
    former = dist / "pagemill-0.0.1-py3-none-any.whl"
    former.write_bytes(b"no wheel")
    try:
        node.set_up([SUMS, *(command for command in SETUP if "--no-deps" in command)])
    finally:
        former.unlink()
    write_sums(dist)


def test_what_python_lacks_on_ubuntu_is_installed(tmp_path: Path, files: Path) -> None:
    # Ubuntu's Python has no ensurepip until python3-venv is installed. No package is installed here.
    node = new_node(tmp_path / "home", files)
    asked = tmp_path / "asked"
    node.program("python3", f"test -e {asked}")
    node.program("sudo", f'echo "$*" >> {asked}')
    assert node.run(WITHOUT_VENV).returncode == 0
    assert asked.read_text().splitlines() == [
        "apt-get -o DPkg::Lock::Timeout=300 --quiet update",
        "apt-get -o DPkg::Lock::Timeout=300 --quiet --yes install python3-venv",
    ]
    # The second time it is there.
    assert node.run(WITHOUT_VENV).returncode == 0
    assert len(asked.read_text().splitlines()) == 2


@pytest.mark.long
def test_ray_up_sets_up_a_head_and_ray_exec_reaches_it(tmp_path: Path, files: Path) -> None:
    """Ray's own commands, from the file to the last start command; the machine is a home directory."""
    provider = {"module": "tests.support.home_provider.HomeProvider", "directory": str(tmp_path)}
    started = ". ~/pagemill/environment && pagemill --version > ~/started"
    here = {
        **CLUSTER,
        "provider": {"type": "external", **provider},
        # What Ray adds for a cloud that it knows.
        **dict.fromkeys(
            ("cluster_synced_files", "initialization_commands", "rsync_exclude", "rsync_filter"), ()
        ),
        "head_start_ray_commands": [started],
    }
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(here))

    def ray(command: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ray.scripts.scripts", command, tmp_path / "cluster.yaml", *arguments],
            cwd=files,
            env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # Again, as after a change.
    for _ in range(2):
        ray("up", "--yes", "--no-config-cache")
        [machine] = tmp_path.glob("machine-*")
        assert f"version {__version__}+" in (machine / "started").read_text()
        (machine / "started").unlink()
    configuration = yaml.safe_load((machine / "ray_bootstrap_config.yaml").read_text())
    assert configuration["available_node_types"].keys() == CLUSTER["available_node_types"].keys()

    assert __version__ in ray("exec", "--no-config-cache", ". ~/pagemill/environment && pagemill --version")

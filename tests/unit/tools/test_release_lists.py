"""Lists with hashes: what a machine needs is in them, and PyTorch's builds are told apart."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tools.release import torch_cpu
from tools.release.built_wheels import SOURCES
from tools.release.constraints import (
    MACHINES,
    PYTHONS,
    TORCH_CPU,
    Pin,
    by_version,
    for_cpus,
    list_of,
    parse,
)
from tools.release.programs import ReleaseError

ROOT = Path(__file__).parents[3]
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
LISTED = f"""\
aiohttp==3.14.5 \\
    --hash={ONE} \\
    --hash={TWO}
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash={ONE}
greenlet==3.2.0 ; python_full_version < '3.12' and platform_machine == 'aarch64' \\
    --hash={ONE}
nvidia-cublas==13.1 ; platform_machine == 'x86_64' and sys_platform == 'linux' \\
    --hash={ONE}
torch==2.13.0 \\
    --hash={ONE}
triton==3.7.0 ; platform_machine == 'x86_64' and sys_platform == 'linux' \\
    --hash={ONE}
"""


def test_a_list_is_read_and_written_as_it_was() -> None:
    pins = parse(LISTED)

    assert [pin.name for pin in pins if not pin.is_supported] == ["colorama"]
    assert pins[0].hashes == (ONE, TWO)
    text = list_of(pins, title="What it needs")
    assert text == f"# What it needs, for x86_64 and aarch64, Python 3.11 to 3.14.\n{LISTED}"
    assert parse(text) == pins


@pytest.mark.parametrize(
    "line", ["pagemill", "aiohttp>=3", "--index-url https://elsewhere", "    --hash=md5:0"]
)
def test_what_is_no_pin_is_refused(line: str) -> None:
    with pytest.raises(ReleaseError, match="not understood"):
        parse(f"{LISTED}{line}\n")


def test_what_is_built_has_the_versions_that_were_tested() -> None:
    pins = parse(SOURCES.read_text())
    tested = (ROOT / "constraints.txt").read_text().splitlines()
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert {f"{pin.name}=={pin.version}" for pin in pins} <= set(tested)
    assert {pin.name for pin in pins} == {one.split(">=")[0] for one in extra["mail-authentication"]}


def test_a_pin_without_a_hash_is_refused() -> None:
    with pytest.raises(ReleaseError, match="without a hash: yarl"):
        parse(f"{LISTED}yarl==1.25.1 \\\n")


def test_machines_without_a_gpu_get_torch_for_cpus_and_nothing_of_cuda() -> None:
    pins = for_cpus(parse(LISTED))

    assert [pin.name for pin in pins[:3]] == ["aiohttp", "colorama", "greenlet"]
    builds = pins[3:]
    assert len({build.marker for build in builds}) == len(MACHINES) * len(PYTHONS)
    assert all(build.is_supported and len(build.hashes) == 1 for build in builds)
    assert parse(list_of(pins, title="What it needs")) == pins

    [*others, torch] = by_version(pins, "2.13.0+cpu")
    assert others == pins[:3]
    assert str(torch).startswith("torch==2.13.0+cpu \\\n")
    assert torch.hashes == tuple(build.hashes[0] for build in builds)


def test_another_version_of_torch_needs_other_hashes() -> None:
    with pytest.raises(ReleaseError, match=r"has no builds of torch 2\.14\.0"):
        for_cpus([Pin("torch", "2.14.0", "", (ONE,))])


def test_the_builds_that_are_written_down_are_those_of_the_pinned_torch() -> None:
    pinned = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    builds = parse(TORCH_CPU.read_text())
    assert len({build.hashes for build in builds}) == len(MACHINES) * len(PYTHONS)
    assert all(
        build.version.startswith(f"https://download.pytorch.org/whl/cpu/torch-{pinned[1]}%2Bcpu-")
        for build in builds
    )


def page(*, without: str = "") -> str:
    """A page of an index, as PyTorch's: with other versions, systems and builds."""
    files = {
        f"torch-{version}%2Bcpu-{tag}-{tag}-{system}.whl"
        for version in ("2.12.0", "2.13.0")
        for tag in (*(f"cp{python.replace('.', '')}" for python in PYTHONS), "cp314t")
        for system in ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "win_amd64", "linux_s390x")
    } - {without}
    links = (
        f'<a href="/whl/cpu/{file}#sha256={number:064x}" data-core-metadata="sha256=0">{file}</a><br/>'
        for number, file in enumerate(sorted(files))
    )
    return f"<!DOCTYPE html><html><body><h1>Links for torch</h1>{''.join(links)}</body></html>"


def test_hashes_come_from_the_page_of_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    index = tmp_path / "index.html"
    index.write_text(page())
    file = tmp_path / "torch_cpu.txt"

    assert torch_cpu.main(index.as_uri(), file) == 0
    builds = parse(file.read_text())
    assert {build.name for build in builds} == {"torch"}
    assert len({build.hashes for build in builds}) == len(MACHINES) * len(PYTHONS)
    assert builds[0].version == "file:///whl/cpu/torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl"
    assert builds[0].marker == "python_version == '3.11' and platform_machine == 'x86_64'"
    assert "8 files" in capsys.readouterr().out


def test_a_build_that_the_index_lacks_is_named() -> None:
    lacking = "torch-2.13.0%2Bcpu-cp312-cp312-manylinux_2_28_aarch64.whl"
    with pytest.raises(ReleaseError, match=r"no torch 2\.13\.0 for CPUs, cp312 and aarch64"):
        torch_cpu.cpu_builds(page(without=lacking), "https://elsewhere/torch/", "2.13.0")

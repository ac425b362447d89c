"""A release: its packages have the tree's files, are the same when built again, and can be installed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from pagemill import __version__
from tools.release.installed import check_installed, sums
from tools.release.packages import build_from_tree, compare_builds, compare_with_git, compare_with_tree
from tools.release.programs import ReleaseError
from tools.release.sbom import bill_of_materials

ROOT = Path(__file__).parents[3]
LISTED = "".join(
    f"{pin} \\\n    --hash=sha256:{'0' * 64}\n"
    for pin in ("litestar==2.25.0", "msgspec==0.22.0", "nvidia-cublas==13.1.0.3")
)


@pytest.fixture
def wheel(built: Path) -> Path:
    [found] = built.glob("*.whl")
    return found


def test_the_packages_have_the_version_in_their_names(built: Path) -> None:
    assert sorted(path.name for path in built.iterdir()) == [
        f"pagemill-{__version__}-py3-none-any.whl",
        f"pagemill-{__version__}.tar.gz",
    ]


def test_the_wheel_has_the_files_of_the_tree(wheel: Path) -> None:
    assert compare_with_tree(wheel, ROOT) > 400
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "db/migrations/initial_schema.sql",
        "pagemill/extraction/recognition/weights/page_orientation.onnx",
        "pagemill/api/openapi/reference_page.css",
        "pagemill/api/openapi/texts/introduction.md",
        "pagemill/api/openapi/examples/documents.json",
    ):
        assert needed in names


@pytest.mark.parametrize("how", ["another", "missing", "strange"])
def test_a_wheel_with_other_files_is_refused(wheel: Path, tmp_path: Path, how: str) -> None:
    other = tmp_path / wheel.name
    name = "db/migrations/initial_schema.sql"
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(other, "w") as written:
        for item in archive.namelist():
            if item != name:
                written.writestr(item, archive.read(item))
            elif how != "missing":
                written.writestr(item, archive.read(item) + (b" " if how == "another" else b""))
        if how == "strange":
            name = "db/left_behind.py"
            written.writestr(name, "")
    with pytest.raises(ReleaseError, match=f"differ in {name}"):
        compare_with_tree(other, ROOT)


def test_what_an_operator_keeps_beside_the_tree_is_found_in_a_package(built: Path, tmp_path: Path) -> None:
    [source] = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    [packed] = tmp_path.iterdir()
    (packed / "ray-token").write_text("secret")
    with tarfile.open(tmp_path / source.name, "w:gz") as archive:
        archive.add(packed, arcname=packed.name)

    with pytest.raises(ReleaseError, match=r"git does not know .*\bray-token\b"):
        compare_with_git(tmp_path / source.name, ROOT)


def test_git_leaves_alone_what_cluster_yaml_has_operators_make() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this tree is not kept in git")
    mounted = yaml.safe_load((ROOT / "cluster.yaml").read_text())["file_mounts"].values()
    names = [f"{name}/" if name == "./dist" else name for name in mounted]
    ignored = subprocess.run(
        ["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ignored.stdout.split() == names


@pytest.mark.long
def test_built_again_they_have_the_same_bytes(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    build_from_tree(ROOT, again)
    compare_builds(built, again)

    [archive] = again.glob("*.tar.gz")
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(ReleaseError, match=rf"{archive.name} is another one"):
        compare_builds(built, again)
    archive.unlink()
    with pytest.raises(ReleaseError, match=rf"{archive.name} is another one"):
        compare_builds(built, again)


@pytest.mark.long
def test_it_runs_where_it_is_installed(built: Path, tmp_path: Path) -> None:
    directory = tmp_path / "dist"
    shutil.copytree(built, directory)
    (directory / "SHA256SUMS").write_text(sums(directory))

    said = check_installed(directory, __version__, fast=True)
    assert said.startswith(f"pagemill, version {__version__}+")

    with pytest.raises(ReleaseError, match=r"and 9\.9\.9 is built"):
        check_installed(directory, "9.9.9", fast=True)
    (directory / "SHA256SUMS").write_text(
        (directory / "SHA256SUMS").read_text().replace(digest_of(directory, ".whl"), "0" * 64)
    )
    with pytest.raises(ReleaseError, match=r"(?i)hash"):
        check_installed(directory, __version__, fast=True)


def digest_of(directory: Path, ending: str) -> str:
    [path] = directory.glob(f"*{ending}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.long
def test_the_sbom_has_licences_hashes_and_what_needs_what(tmp_path: Path) -> None:
    listed = tmp_path / "constraints-hashed.txt"
    listed.write_text(LISTED)
    bill = json.loads(bill_of_materials(ROOT, listed))

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "pagemill"
    assert bill["metadata"]["component"]["version"] == __version__
    components = {one["name"]: one for one in bill["components"]}
    assert set(components) == {"litestar", "msgspec", "nvidia-cublas"}
    assert components["litestar"]["purl"].startswith("pkg:pypi/litestar@2.25.0")
    assert "MIT" in json.dumps(components["litestar"]["licenses"])
    assert "0" * 64 in json.dumps(components["msgspec"])
    needs = {one["ref"]: one.get("dependsOn", []) for one in bill["dependencies"]}
    assert needs[components["litestar"]["bom-ref"]] == [components["msgspec"]["bom-ref"]]

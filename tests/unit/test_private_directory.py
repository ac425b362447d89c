"""Directories that others could enter are refused, and the setting that chose them is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from pagemill.private_directory import private_directory
from pagemill.settings import SettingsError


@pytest.mark.parametrize("name", ["open", "writable", "link", "file", "file/below"])
def test_a_directory_that_others_can_enter_is_refused(tmp_path: Path, name: str) -> None:
    for made, mode in (("open", 0o755), ("writable", 0o777)):
        (tmp_path / made).mkdir()
        (tmp_path / made).chmod(mode)
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match="PAGEMILL_METRICS_DIRECTORY"):
        private_directory(tmp_path / name, "metrics_directory")
    assert private_directory(tmp_path / "mine", "metrics_directory") == tmp_path / "mine"

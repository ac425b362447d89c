"""The release is that of the code: it stays while the code does, and changes with each file of it."""

from __future__ import annotations

from pathlib import Path

from pagemill import __version__
from pagemill.release import code_digest, release


def test_it_begins_with_the_version() -> None:
    assert release().startswith(f"{__version__}+")
    assert release() == release()


def test_it_changes_with_code_alone(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    code = tmp_path / "package" / "module.py"
    code.write_text("one = 1\n")
    first = code_digest([tmp_path])
    (tmp_path / "package" / "module.pyc").write_bytes(b"compiled")
    assert code_digest([tmp_path]) == first

    code.write_text("one = 2\n")
    second = code_digest([tmp_path])
    code.rename(code.with_name("renamed.py"))
    third = code_digest([tmp_path])
    (tmp_path / "package" / "statement.sql").write_text("SELECT 1")
    assert len({first, second, third, code_digest([tmp_path])}) == 4

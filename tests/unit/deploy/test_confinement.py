"""A document is read without privileges, and on a root that cannot be written, as in the containers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFINED = """
mount --make-rprivate / && mount -t tmpfs tmpfs "$TMPDIR" && mount -o remount,ro,bind / / || exit 77
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all "$@"
"""
READ = """
import io, os
from pathlib import Path
from PIL import Image
from pagemill.extraction.reading import PageReader

status = Path("/proc/self/status").read_text()
assert "NoNewPrivs:\\t1" in status and "CapEff:\\t0000000000000000" in status
assert not os.access("/", os.W_OK)
picture = io.BytesIO()
Image.new("RGB", (60, 40), "white").save(picture, "PNG")
with PageReader() as reader:
    print(reader.inspect(picture.getvalue()).number_of_pages)
"""
MOUNTS_REFUSED = 77


def test_a_child_reads_a_document_without_any_privilege(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("only root can make the root read-only, with unshare and setpriv")
    command = ["unshare", "--mount", "sh", "-c", CONFINED, "sh", sys.executable, "-c", READ]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == MOUNTS_REFUSED:
        pytest.skip("mounts are not allowed here")

    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr

"""Imports of mail intake: nothing of what runs the work."""

from __future__ import annotations

import subprocess
import sys


def test_it_joins_no_ray_and_parses_in_children_only() -> None:
    heavy = ("ray", "torch", "onnxruntime", "pagemill.extraction", "pagemill.api", "dkim", "spf", "dns")
    program = f"""
import sys, pagemill.mail_intake.server
print([name for name in {heavy!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"

"""The program that the README shows."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def main_job_program() -> str:
    """The README's only block of Python."""
    [program] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    return str(program)

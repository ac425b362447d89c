"""Write the tables that extraction reads."""

from __future__ import annotations

import json
from pathlib import Path

from tools.locale_tables.tables import tables

PATH = Path("platform/pagemill/extraction/locale_tables.json")

if __name__ == "__main__":
    PATH.write_text(json.dumps(tables(), ensure_ascii=False, indent=0) + "\n", encoding="utf-8")

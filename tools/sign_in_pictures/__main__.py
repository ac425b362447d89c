"""Draw the pictures in ``docs/images/sign-in`` with a headless Chromium: light, dark, and small."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final, Literal, TypeAlias

from playwright.sync_api import Browser, sync_playwright

from pagemill.api.sign_in.pages import ICON, STYLE, packaged
from tools.sign_in_pictures.program import OPTIONS, chromium_path
from tools.sign_in_pictures.shown import PAGES, html_of

PICTURES: Final = Path(__file__).parents[2] / "docs" / "images" / "sign-in"
Scheme: TypeAlias = Literal["light", "dark"]
WIDE: Final = (560, 480)
SMALL: Final = (320, 480)
SMALL_PAGES: Final = ("sign-in", "account")
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")


def pictures() -> list[str]:
    """Return the names of all pictures."""
    wide = [f"{name}-{scheme}.png" for name in PAGES for scheme in SCHEMES]
    return wide + [f"{name}-small.png" for name in SMALL_PAGES]


def main() -> int:
    """Draw all pictures; return the exit status."""
    path = chromium_path()
    if path is None:
        print("there is no Chromium", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as text, sync_playwright() as playwright:
        directory = Path(text)
        for file in (STYLE, ICON):
            (directory / file).write_bytes(packaged(file))
        browser = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        for name in PAGES:
            (directory / f"{name}.html").write_text(html_of(name))
            for scheme in SCHEMES:
                _draw(browser, directory / f"{name}.html", f"{name}-{scheme}.png", WIDE, scheme)
        for name in SMALL_PAGES:
            _draw(browser, directory / f"{name}.html", f"{name}-small.png", SMALL, "light")
        browser.close()
    return 0


def _draw(browser: Browser, page: Path, picture: str, size: tuple[int, int], scheme: Scheme) -> None:
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    shown = context.new_page()
    shown.goto(page.as_uri())
    shown.screenshot(path=PICTURES / picture, full_page=True)
    context.close()
    print(PICTURES / picture)


if __name__ == "__main__":
    sys.exit(main())

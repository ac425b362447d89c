"""A headless Chromium for tests, where the machine has one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

from tools.sign_in_pictures.program import OPTIONS, VARIABLE, chromium_path


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser that runs. Skips the test where there is none."""
    path = chromium_path()
    if path is None:
        pytest.skip(f"there is no Chromium: apt-get install chromium, or say where it is with {VARIABLE}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        try:
            yield browser
        finally:
            await browser.close()

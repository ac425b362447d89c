"""A headless Chromium for tests, where the machine has one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Request, async_playwright

from tools.sign_in_pictures.program import OPTIONS, VARIABLE, chromium_path

MILLISECONDS = 60_000.0
MOST_WALKS = 5
CHANGED = "ERR_NETWORK_CHANGED"


@asynccontextmanager
async def chromium(*options: str) -> AsyncIterator[Browser]:
    """A browser that runs, with more options. Skips the test where there is none."""
    path = chromium_path()
    if path is None:
        pytest.skip(f"there is no Chromium: apt-get install chromium, or say where it is with {VARIABLE}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*OPTIONS, *options])
        try:
            yield browser
        finally:
            await browser.close()


async def undisturbed(browser: Browser, steps: Callable[[Page], Awaitable[None]], **options: Any) -> None:
    """Walk through pages in a context of its own, and again when the machine's network has changed meanwhile.

    Chromium breaks off its requests then, also those to this machine; and tests of containers beside this one
    change the network all the time.
    """
    for _ in range(MOST_WALKS):
        context = await browser.new_context(ignore_https_errors=True, **options)
        context.set_default_timeout(MILLISECONDS)
        disturbed = asyncio.Event()

        def notice(request: Request, disturbed: asyncio.Event = disturbed) -> None:
            if CHANGED in (request.failure or ""):
                disturbed.set()

        context.on("requestfailed", notice)
        walking = asyncio.ensure_future(steps(await context.new_page()))
        watching = asyncio.create_task(disturbed.wait())
        await asyncio.wait({walking, watching}, return_when=asyncio.FIRST_COMPLETED)
        walking.cancel()
        watching.cancel()
        [ended, _] = await asyncio.gather(walking, watching, return_exceptions=True)
        await context.close()
        if not disturbed.is_set() and CHANGED not in str(ended):
            if isinstance(ended, BaseException):
                raise ended
            return
    raise AssertionError("the network of this machine changes all the time")

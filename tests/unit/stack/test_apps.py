"""The apps are deployed to the head that serves, and to no other one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pagemill.settings import Settings
from pagemill.stack.directory import DataDirectory, StackError
from pagemill.stack.parts import Apps
from pagemill.stack.ray_head import RayHead
from pagemill.stack.stack_configuration import StackConfiguration
from tests.support.processes import is_alive
from tests.support.running import eventually

SECONDS = 60.0


class Head(RayHead):
    """A head that is there, or not, as a test says."""

    def serve(self, generation: int | None) -> None:
        self._serve(generation)


@pytest.fixture
def configuration(tmp_path: Path) -> StackConfiguration:
    directory = DataDirectory(tmp_path)
    directory.prepare()
    return StackConfiguration(directory, {}, 9443)


def apps_and_head(configuration: StackConfiguration, script: str) -> tuple[Apps, Head]:
    def settings() -> Settings:
        return configuration.settings("postgresql://unused", "127.0.0.1:1")

    head = Head(configuration, settings)
    return Apps(configuration, settings, head, program=("/bin/sh", "-c", script)), head


async def awaited(value: int | None) -> int | None:
    return value


async def test_a_program_that_deploys_to_a_head_that_has_ended_is_stopped(
    configuration: StackConfiguration,
) -> None:
    apps, head = apps_and_head(configuration, "sleep 600")
    starting = asyncio.create_task(apps.start())
    head.serve(1)
    async with asyncio.timeout(SECONDS):
        process_id = await eventually(lambda: awaited(apps.process_id), seconds=SECONDS)
        head.serve(None)
        with pytest.raises(StackError, match="the Ray head ended"):
            await starting
        await apps.stop()
    assert not is_alive(process_id)


async def test_they_are_up_until_the_head_ends(configuration: StackConfiguration) -> None:
    apps, head = apps_and_head(configuration, "exit 0")
    head.serve(1)
    async with asyncio.timeout(SECONDS):
        await apps.start()
        ending = asyncio.create_task(apps.ended())
        head.serve(2)
        assert await ending == "the Ray head ended"


async def test_a_program_that_fails_says_why(configuration: StackConfiguration) -> None:
    apps, head = apps_and_head(configuration, "exit 3")
    head.serve(1)
    with pytest.raises(StackError, match=r"were not deployed \(exit status 3\), see .*apps.log"):
        await apps.start()

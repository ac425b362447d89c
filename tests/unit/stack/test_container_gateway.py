"""Containers are let in where they need it, and an engine that is away is waited for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pagemill.settings import Settings
from pagemill.stack import container_gateway
from pagemill.stack.container_gateway import admit_containers


def settings_with(**members: str) -> Settings:
    return Settings(
        **{"database_url": "postgresql://unused", "objects_url": "file:///unused", **members}  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"container_engine_url": "unix:///nowhere", "container_api_url": "https://api.example.com"},
        {"container_engine_url": "unix:///nowhere", "public_url": "https://api.example.com"},
    ],
)
async def test_nothing_is_done_where_containers_need_no_door(members: dict[str, str]) -> None:
    said: list[str] = []
    await asyncio.wait_for(admit_containers(settings_with(**members), 8443, said.append), 5)

    assert said == []


async def test_an_engine_that_is_away_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_gateway, "TRY_AGAIN_SECONDS", 0.01)
    settings = settings_with(container_engine_url=f"unix://{tmp_path}/away.sock")
    said: list[str] = []
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(admit_containers(settings, 8443, said.append), 0.5)

    assert said == ["containers cannot reach the API yet: The container engine cannot be reached"]

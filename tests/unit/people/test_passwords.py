"""Hashing of passwords: argon2id, beside the event loop, and bounded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher, Type

from pagemill.errors import QueueFull
from pagemill.people import passwords
from pagemill.people.passwords import HASHER, PasswordHashing

PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.fixture
def hashing() -> Iterator[PasswordHashing]:
    hashing = PasswordHashing(concurrency=2, hasher=CHEAP)
    yield hashing
    hashing.close()


def test_the_parameters_are_those_of_the_standard() -> None:
    assert (HASHER.type, HASHER.memory_cost, HASHER.time_cost) == (Type.ID, 64 * 1024, 3)


async def test_a_hash_matches_its_password_alone(hashing: PasswordHashing) -> None:
    stored, again = await hashing.hash(PASSWORD), await hashing.hash(PASSWORD)
    assert stored.startswith("$argon2id$")
    assert stored != again, "each has a salt of its own"
    assert await hashing.matches(PASSWORD, stored)
    assert not await hashing.matches(f"{PASSWORD} ", stored)
    assert await hashing.matches("Zu\u0308rich ist nicht weit", await hashing.hash("Zürich ist nicht weit"))


@pytest.mark.parametrize("stored", [None, "", "$argon2id$", "plain text"])
async def test_without_a_good_hash_nothing_matches(hashing: PasswordHashing, stored: str | None) -> None:
    assert not await hashing.matches(PASSWORD, stored)


async def test_nobody_costs_as_much_as_somebody(
    hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same function is called with the same parameters, whether or not there is a hash."""
    await hashing.matches(PASSWORD, None)
    verified: list[str] = []
    monkeypatch.setattr(hashing, "_matches", lambda _password, stored: bool(verified.append(stored)))
    stored = await hashing.hash(PASSWORD)
    await hashing.matches(PASSWORD, stored)
    await hashing.matches(PASSWORD, None)
    assert [one.rsplit("$", 2)[0] for one in verified] == [stored.rsplit("$", 2)[0]] * 2


async def test_it_runs_on_threads_of_its_own(hashing: PasswordHashing) -> None:
    names: list[str] = []
    await hashing._run(lambda: names.append(threading.current_thread().name))
    assert names[0].startswith("passwords")


async def test_a_few_at_a_time_and_not_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAITING", 3)
    hashing = PasswordHashing(concurrency=2, hasher=CHEAP)
    going, running, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    def work() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        assert going.wait(60)
        with lock:
            running[0] -= 1

    tasks = [asyncio.create_task(hashing._run(work)) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await hashing._run(work)
    going.set()
    await asyncio.gather(*tasks)
    assert most[0] <= 2
    await hashing._run(work)
    hashing.close()


def test_hashes_of_other_parameters_are_outdated(hashing: PasswordHashing) -> None:
    stored = PasswordHasher(time_cost=2, memory_cost=64, parallelism=1).hash(PASSWORD)
    assert hashing.is_outdated(stored)
    assert not hashing.is_outdated(CHEAP.hash(PASSWORD))

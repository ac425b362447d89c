"""When a part is started again, with a clock that the test turns."""

from __future__ import annotations

from pagemill.stack.restarts import RestartPolicy, Restarts

POLICY = RestartPolicy(first_delay=1.0, factor=2.0, longest_delay=10.0, calm=60.0, patience=3)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_wait_doubles_up_to_its_limit() -> None:
    restarts = Restarts(POLICY, Clock())
    assert [restarts.ended() for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_the_wait_stays_at_its_limit_for_ever() -> None:
    restarts = Restarts(POLICY, Clock())
    assert {restarts.ended() for _ in range(5000)} == {1.0, 2.0, 4.0, 8.0, 10.0}


def test_a_part_that_ran_calmly_is_forgiven() -> None:
    clock = Clock()
    restarts = Restarts(POLICY, clock)
    restarts.ended()
    restarts.ended()
    restarts.came_up()
    clock.now += 60.0
    assert restarts.ended() == 1.0


def test_a_part_that_comes_up_and_dies_at_once_is_not_forgiven() -> None:
    clock = Clock()
    restarts = Restarts(POLICY, clock)
    delays = []
    for _ in range(3):
        restarts.came_up()
        clock.now += 59.0
        delays.append(restarts.ended())
    assert delays == [1.0, 2.0, 4.0]


def test_time_spent_down_is_no_calm() -> None:
    clock = Clock()
    restarts = Restarts(POLICY, clock)
    restarts.came_up()
    restarts.ended()
    clock.now += 3600.0
    assert restarts.ended() == 2.0


def test_patience_ends() -> None:
    restarts = Restarts(POLICY, Clock())
    hopeless = []
    for _ in range(3):
        restarts.ended()
        hopeless.append(restarts.hopeless())
    assert hopeless == [False, False, True]


def test_every_end_is_counted() -> None:
    clock = Clock()
    restarts = Restarts(POLICY, clock)
    for _ in range(4):
        restarts.came_up()
        clock.now += 100.0
        restarts.ended()
    assert (restarts.count, restarts.failures) == (4, 1)

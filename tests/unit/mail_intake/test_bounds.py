"""Bounds of connections and of bytes in memory."""

from __future__ import annotations

from pagemill.mail_intake.bounds import ByteBudget, Connections


def test_one_address_has_half_of_the_connections() -> None:
    connections = Connections(4)

    assert [connections.admit("a") for _ in range(3)] == [True, True, False]
    assert [connections.admit(one) for one in "bcd"] == [True, True, False]
    connections.leave("a")
    assert connections.admit("d")
    assert not connections.admit("a")


def test_a_budget_is_shared_and_given_back() -> None:
    budget = ByteBudget(10)

    with budget.share() as one, budget.share() as other:
        assert one.take(6)
        assert not other.take(5)
        assert other.take(4)
        one.give_back()
        assert other.take(6)
        assert not one.take(1)
    assert budget.take(10)
    assert not budget.take(1)

"""Plan files of operators."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pagemill.usage.plan_file import PlanFileError, definition_of, parse_plans, prices_of

PRO = """
[[plans]]
planId = "las:plan:pro"
version = 2
name = "Pro"
currency = "NOK"
limitedBy = "fields"
allowed = { pages = 10000, users = 5 }
license = { price = 99 }
gpuHours = { price = 1.25, unitSize = 2, included = 3.5 }
pagePredictions = { included = 1000, tiers = [{ upTo = 5000, price = 0.02 }, { price = 0.01 }] }
"""


def test_a_plan_is_read() -> None:
    (plan,) = parse_plans(PRO)
    assert (plan.id, plan.currency, plan.limited_by) == ("las:plan:pro:2", "NOK", "fields")
    assert plan.allowed == {"pages": 10000, "users": 5}
    assert definition_of(plan) == {
        "license": {"price": 99},
        "gpuHours": {"price": 1.25, "unitSize": 2, "included": 3.5},
        "pagePredictions": {"included": 1000, "tiers": [{"price": 0.02, "upTo": 5000}, {"price": 0.01}]},
    }


def test_prices_survive_their_way_through_a_row() -> None:
    (plan,) = parse_plans(PRO)
    assert prices_of(definition_of(plan)) == plan.prices()
    assert plan.prices()["gpuHours"].price == Decimal("1.25")


def test_prices_of_another_shape_cost_nothing() -> None:
    assert prices_of({"users": "free", "flows": {"tiers": 3}}) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plans = 1", "plans"),
        ("[[plans", "not TOML"),
        (PRO + PRO, "las:plan:pro:2: stands in the file twice"),
        (PRO.replace("version = 2", "version = 0"), r"plans\[0\].version"),
        (PRO.replace("version = 2", ""), "version"),
        (PRO.replace('"las:plan:pro"', '"las:plan:pro:2"'), "planId"),
        (PRO.replace("NOK", "SEK"), "currency"),
        (PRO.replace("users = 5", "user = 5"), "allowed: user: known are documents"),
        (PRO.replace("users = 5", "users = -5"), r"allowed"),
        (PRO.replace("unitSize = 2", "unitSize = 0"), "unitSize"),
        (PRO.replace("price = 99", "price = -99"), "license.price"),
        (PRO.replace("name =", "nam ="), "nam"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(PlanFileError, match=message):
        parse_plans(text)


def test_a_huge_file_is_not_parsed() -> None:
    with pytest.raises(PlanFileError, match="longer"):
        parse_plans("#" * 1_000_001)

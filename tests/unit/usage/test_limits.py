"""What plans allow of each meter."""

from __future__ import annotations

import pytest

from pagemill.usage.limits import UNLIMITED, LimitedBy, allowances, limited_amounts
from pagemill.usage.meters import METERS, Amount, Meter


@pytest.mark.parametrize("allowed", [None, {}])
def test_without_limits_every_meter_is_unlimited(allowed: dict[str, float] | None) -> None:
    assert allowances(allowed) == dict.fromkeys(METERS, UNLIMITED)


def test_a_plan_limits_the_meters_that_it_names() -> None:
    limits = allowances({"pages": 10, "gpu-hours": 0.5, "no meter": 1})
    assert {meter: limit for meter, limit in limits.items() if limit != UNLIMITED} == {
        "pages": 10.0,
        "gpu-hours": 0.5,
    }
    assert set(limits) == set(METERS)


@pytest.mark.parametrize(
    ("limited_by", "reserved"),
    [
        ("pages", {"pages": 2, "documents": 1}),
        ("fields", {"fields": 3, "documents": 1}),
        (None, {"documents": 1}),
    ],
)
def test_of_pages_and_fields_only_the_limited_one_is_reserved(
    limited_by: LimitedBy | None, reserved: dict[Meter, Amount]
) -> None:
    assert limited_amounts(limited_by, {"pages": 2, "fields": 3, "documents": 1}) == reserved

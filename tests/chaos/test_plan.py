"""What is done in a run follows from its seed."""

from __future__ import annotations

import pytest

from tests.chaos.plan import METERS, ORGANIZATIONS, allowances, operations


def test_a_seed_says_all() -> None:
    assert operations(7, 200) == operations(7, 200) != operations(8, 200)
    assert allowances(7, operations(7, 200)) == allowances(7, operations(7, 200))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [75, 300])
def test_every_organization_wants_more_than_it_may(count: int, seed: int) -> None:
    wanted = operations(seed, count)
    assert [one.number for one in wanted] == list(range(count))
    for organization, allowed in enumerate(allowances(seed, wanted)):
        for meter in set(METERS.values()):
            wishes = [
                one for one in wanted if one.organization == organization and METERS.get(one.kind) == meter
            ]
            assert 1 <= allowed[meter] < len(wishes)
    assert {one.organization for one in wanted} == set(range(ORGANIZATIONS))

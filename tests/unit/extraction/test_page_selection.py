"""Which pages a request covers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.extraction.page_selection import MAX_SELECTED_PAGES, PageSelection, select_pages


@pytest.mark.parametrize(
    ("pages", "indexes"),
    [
        ([0], [0]),
        ([2, 0], [2, 0]),
        ([-1], [4]),
        ([-5, -6], [0]),
        ([4, -1, 4], [4]),
        ([7, 1, -9], [1]),
        ([], []),
    ],
)
def test_explicit_pages_keep_their_order(pages: list[int], indexes: list[int]) -> None:
    selection = select_pages(5, pages=pages, start_page=3, max_pages=1)
    assert selection == PageSelection(indexes=indexes, next_page=None)


def test_at_most_a_hundred_explicit_pages() -> None:
    selection = select_pages(500, pages=list(range(300)), start_page=None, max_pages=3)
    assert selection.indexes == list(range(MAX_SELECTED_PAGES))


@pytest.mark.parametrize(
    ("start_page", "max_pages", "indexes", "next_page"),
    [
        (None, 3, [0, 1, 2], 3),
        (0, 5, [0, 1, 2, 3, 4], None),
        (3, 1, [3], 4),
        (3, 2, [3, 4], None),
        (4, 10, [4], None),
        (5, 1, [], None),
        (99, 1, [], None),
        (-1, 3, [4], None),
        (-2, 1, [3], 4),
        (-99, 2, [0, 1], 2),
        (1, 0, [], 1),
        (None, -4, [], 0),
    ],
)
def test_pages_from_a_start(
    start_page: int | None, max_pages: int, indexes: list[int], next_page: int | None
) -> None:
    selection = select_pages(5, pages=None, start_page=start_page, max_pages=max_pages)
    assert selection == PageSelection(indexes=indexes, next_page=next_page)


@settings(deadline=None)
@given(count=st.integers(1, 60), step=st.integers(1, 20))
def test_following_next_page_covers_every_page_once(count: int, step: int) -> None:
    seen: list[int] = []
    start: int | None = 0
    while start is not None:
        selection = select_pages(count, pages=None, start_page=start, max_pages=step)
        seen += selection.indexes
        start = selection.next_page
    assert seen == list(range(count))


@settings(deadline=None)
@given(count=st.integers(0, 20), pages=st.lists(st.integers(-30, 30)))
def test_explicit_pages_are_in_range_and_unique(count: int, pages: list[int]) -> None:
    indexes = select_pages(count, pages=pages, start_page=None, max_pages=3).indexes
    assert len(set(indexes)) == len(indexes)
    assert all(0 <= index < count for index in indexes)

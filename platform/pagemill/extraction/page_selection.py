"""Selection of the pages of a document that a request covers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

MAX_SELECTED_PAGES = 100


class PageSelection(msgspec.Struct, frozen=True):
    """Zero-based page indexes to process, and the page to go on with (None: nothing is left)."""

    indexes: list[int]
    next_page: int | None


def select_pages(
    number_of_pages: int, *, pages: Sequence[int] | None, start_page: int | None, max_pages: int
) -> PageSelection:
    """Return the pages to process.

    Explicit ``pages`` win; otherwise take ``max_pages`` pages from ``start_page`` on. Negative numbers count
    from the end.
    """
    if pages is not None:
        return PageSelection(indexes=_explicit_pages(number_of_pages, pages), next_page=None)
    first = start_page or 0
    if first < 0:
        first = max(0, first + number_of_pages)
    end = min(number_of_pages, first + max(0, max_pages))
    indexes = list(range(first, end))
    return PageSelection(indexes=indexes, next_page=end if first <= end < number_of_pages else None)


def _explicit_pages(number_of_pages: int, pages: Sequence[int]) -> list[int]:
    from_start = (page + number_of_pages if page < 0 else page for page in pages)
    in_range = (page for page in from_start if 0 <= page < number_of_pages)
    return list(dict.fromkeys(in_range))[:MAX_SELECTED_PAGES]

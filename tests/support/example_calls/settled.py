"""Recorded calls with settled values in place of those that are new in every run: ids, times and secrets."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

BEGIN = datetime.datetime(2026, 3, 2, 9, 15, tzinfo=datetime.UTC)
STEP = datetime.timedelta(seconds=17, microseconds=374_930)

# Nobody's: they only look like those that the API gives.
TOKEN = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJhdWQiOiJwYWdlbWlsbCJ9.kq3J0rYbY8bY1F0rC9QmJcT5o2pXwVbL7"
CLIENT_SECRET = "Yx3vD0mC8kQbT1uJ5sWnRz7Lh2Gf9PaE4iOoVqKt6Ms"
SIGNING_SECRET = "whsec_Zm9yIHRoZSBleGFtcGxlcyBvZiB0aGUgZG9jdW1lbnQ="
NEXT_TOKEN = "WyIyMDI2LTAzLTAyVDA5OjE5OjIwLjYyMzk1MFoiLCJsYXM6ZG9jdW1lbnQ6M2YxYyJd"

_FIXED = {
    r'(?<="access_token":")[^"]+': TOKEN,
    r'(?<="clientSecret":")[^"]+': CLIENT_SECRET,
    r'(?<="nextToken":")[^"]+': NEXT_TOKEN,
    r"whsec_[A-Za-z0-9+/=]{44}": SIGNING_SECRET,
}
_ID = re.compile(r"las:[a-z-]+:(?=([0-9a-f]{32}))")
_OTHER_DIGITS = re.compile(r'(?:(?<="clientId":")|(?<="requestId":"))([0-9a-f]{32})|([0-9a-f]{32})(?=@)')
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?=\+00:?00)")
_PERIOD = re.compile(r'(?<="fromTime":")[^"]+(?=","toTime":"([^"]+))')
_EPOCH = re.compile(r'(?<="timestamp":)\d+(?:\.\d+)?')


def settled(calls: Any, names: Mapping[str, str]) -> Any:
    """Return the calls with settled values; ``names`` has texts and what stands for them."""
    text = msgspec.json.encode(calls).decode()
    for name, settled_name in names.items():
        text = text.replace(name, settled_name)
    for digits, kind in _digits(text).items():
        text = text.replace(digits, hashlib.md5(kind.encode(), usedforsecurity=False).hexdigest())
    text = _in_sequence(
        _TIME, text, lambda time: time.replace(tzinfo=None).isoformat(timespec="microseconds")
    )
    text = _in_sequence(_EPOCH, text, lambda time: f"{time.timestamp():.3f}")
    text = _PERIOD.sub(lambda match: _week_before(match[1]), text)
    for pattern, value in _FIXED.items():
        text = re.sub(pattern, value, text)
    return _ordered(msgspec.json.decode(text))


def _ordered(value: Any) -> Any:
    """Sort objects by their ids: Postgres keeps them in an order that depends on the ids before settling."""
    if isinstance(value, list):
        return [_ordered(one) for one in value]
    if not isinstance(value, dict):
        return value
    names = sorted(value) if all(name.startswith("las:") for name in value) else value
    return {name: _ordered(value[name]) for name in names}


def _digits(text: str) -> dict[str, str]:
    """Return the digits of new ids, each with the kind and the number of the id."""
    found: dict[str, str] = {}
    for match in _ID.finditer(text):
        found.setdefault(match[1], f"{match[0]}{len(found)}")
    for match in _OTHER_DIGITS.finditer(text):
        found.setdefault(match[0], f"other{len(found)}")
    return found


def _in_sequence(pattern: re.Pattern[str], text: str, written: Callable[[datetime.datetime], str]) -> str:
    """Replace each different time by one of a sequence, in the order in which they appear."""
    numbers = {time: number for number, time in enumerate(dict.fromkeys(pattern.findall(text)))}
    return pattern.sub(lambda match: written(BEGIN + numbers[match[0]] * STEP), text)


def _week_before(time: str) -> str:
    """Return the time a week before another, both as the API writes them."""
    begin = datetime.datetime.fromisoformat(time) - datetime.timedelta(days=7)
    return begin.replace(tzinfo=None).isoformat(timespec="microseconds") + "+0000"

"""Ray's metrics in place of which a test reads what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from unittest.mock import patch

NAMES = ("Counter", "Gauge", "Histogram")


class RecordedMetric:
    """A metric that takes what Ray's takes and keeps it."""

    def __init__(
        self,
        name: str,
        description: str = "",
        *arguments: object,
        tag_keys: tuple[str, ...] = (),
        boundaries: Sequence[float] = (),
    ) -> None:
        for argument in arguments:
            if isinstance(argument, tuple):
                tag_keys = argument
            else:
                assert isinstance(argument, list)
                boundaries = argument
        assert description
        assert list(boundaries) == sorted(set(boundaries))
        self.name, self.tag_keys = name, tag_keys
        self.values: dict[tuple[str, ...], list[float]] = {}

    def _record(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        tags = tags or {}
        assert tuple(sorted(tags)) == tuple(sorted(self.tag_keys)), (self.name, tags)
        self.values.setdefault(tuple(tags[key] for key in self.tag_keys), []).append(float(value))


class RecordedCounter(RecordedMetric):
    kind = "counter"

    def inc(self, value: float = 1.0, tags: Mapping[str, str] | None = None) -> None:
        assert value > 0
        self._record(value, tags)


class RecordedGauge(RecordedMetric):
    kind = "gauge"

    def set(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        self._record(value, tags)


class RecordedHistogram(RecordedMetric):
    kind = "histogram"

    def observe(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        self._record(value, tags)


Recorded = RecordedCounter | RecordedGauge | RecordedHistogram


@contextmanager
def recorded(module: ModuleType) -> Iterator[dict[str, Recorded]]:
    """Have a module's metrics record what they are told; yields them by their names without pagemill_."""
    made: dict[str, Recorded] = {}

    def making(kind: type[Recorded]) -> object:
        def make(*arguments: object, **named: object) -> Recorded:
            metric = kind(*arguments, **named)  # type: ignore[arg-type]
            made[metric.name.removeprefix("pagemill_")] = metric
            return metric

        return make

    kinds = {"Counter": RecordedCounter, "Gauge": RecordedGauge, "Histogram": RecordedHistogram}
    found = {name: making(kind) for name, kind in kinds.items() if hasattr(module, name)}
    with patch.multiple(module, **found):
        yield made

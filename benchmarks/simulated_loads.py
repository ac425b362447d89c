"""Days of load: bursts, floods, flapping, cold models, nodes that die, hours without Postgres."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from benchmarks.simulated_application import TICK, Weather

DAY = 86400
COLD_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Burst:
    """Pages that arrive evenly in ``seconds``; ``trouble`` happens so many seconds after its beginning."""

    begin: int
    seconds: int
    pages: float
    interactive: bool
    trouble: int = 30


@dataclass(frozen=True, slots=True)
class Load:
    """A day of bursts; ``trickle`` pages a second arrive beside them.

    ``tide`` pages a second come at noon, one by one and by chance, fewer before and after.
    """

    name: str
    bursts: list[Burst]
    trickle: float = 0.0
    tide: float = 0.0
    has_bursts: bool = True
    """True if reversals can be told apart by bursts; else all of a day are seen, and none is bound."""
    nodes_die: bool = False
    models_are_cold: bool = False
    away_seconds: int = 0
    """Time for which Postgres is away in each burst."""
    seed: int = 0
    seconds: int = field(default=DAY)


def weathers(load: Load) -> Iterator[Weather]:
    """Yield what happens in each tick."""
    generator = random.Random(load.seed)
    bursts = list(load.bursts)
    current: Burst | None = None
    for second in range(0, load.seconds, round(TICK)):
        if bursts and second >= bursts[0].begin:
            current = bursts.pop(0)
        rate = load.trickle + load.tide * math.sin(math.pi * second / load.seconds) ** 2
        arriving = _poisson(generator, rate * TICK)
        # A page is a receipt or a full page of small print.
        weather = Weather(interactive=arriving, seconds_per_page=generator.uniform(1.6, 2.4))
        if current is not None:
            _in_a_burst(weather, load, current, second - current.begin)
        yield weather


def _in_a_burst(weather: Weather, load: Load, burst: Burst, age: int) -> None:
    if age < burst.seconds:
        rate = burst.pages / burst.seconds * TICK
        weather.interactive += rate if burst.interactive else 0.0
        weather.batch += 0.0 if burst.interactive else rate
    weather.node_dies = load.nodes_die and age == burst.trouble
    weather.database_is_away = burst.trouble <= age < burst.trouble + load.away_seconds
    if weather.database_is_away:
        # The API cannot accept what it cannot write.
        weather.interactive = weather.batch = 0.0
    if load.models_are_cold and age < COLD_SECONDS:
        weather.seconds_per_page *= 4.0


def _poisson(generator: random.Random, mean: float) -> float:
    """Return a random number of arrivals (Knuth's way, enough for small means)."""
    number, product, floor = 0, generator.random(), math.exp(-mean)
    while product > floor:
        number, product = number + 1, product * generator.random()
    return float(number)


def days(seed: int, *, trickle: float) -> list[Load]:
    """Return one day of each kind of load."""
    generator = random.Random(seed)

    def bursts(number: int, gap: int, pages: Callable[[], float], seconds: int = 5) -> list[Burst]:
        # A prime number of seconds shifts bursts against the questions to Postgres.
        return [
            Burst(600 + one * gap + one % 7, seconds, pages(), one % 2 == 0, generator.randrange(20, 90))
            for one in range(number)
        ]

    def large() -> float:
        return 10.0 ** generator.uniform(3.0, 4.3)

    def any_size() -> float:
        return 10.0 ** generator.uniform(1.0, 4.0)

    loads = [
        Load("bursts", bursts(60, 1400, any_size), seed=seed),
        Load("floods over ten minutes", bursts(20, 4200, large, seconds=600), seed=seed + 1),
        Load("flapping every 90 s", bursts(900, 90, lambda: 300.0), seed=seed + 2),
        Load("flapping every 300 s", bursts(280, 300, lambda: 600.0), seed=seed + 3),
        Load("cold models", bursts(40, 2000, large), models_are_cold=True, seed=seed + 4),
        Load("a node dies", bursts(40, 2000, large), nodes_die=True, seed=seed + 5),
        Load("Postgres away", bursts(40, 2000, large), away_seconds=240, seed=seed + 6),
    ]
    tide = [Burst(0, DAY - 600, 0.0, True)]
    loads.append(Load("a tide", tide, tide=12.0, has_bursts=False, seed=seed + 7))
    return [replace(load, trickle=trickle) for load in loads]

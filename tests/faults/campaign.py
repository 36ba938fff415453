"""A campaign: a world under load in which one thing after the other is broken, and the verdict.

The seed gives the faults, their order and their pauses; when exactly each one hits is the
machine's. So a seed brings the same campaign again, not the same instant.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.brokers.mosquitto import Mosquitto
from tests.faults import history
from tests.faults.checker import Violation, check
from tests.faults.history import What
from tests.faults.intruder import Intruder
from tests.faults.trouble import BROKERS_OWN, Trouble
from tests.faults.world import World, world

_PATIENCE = 60.0
"""Seconds until the first message is surely held."""
_PROGRESS = 20.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a campaign does."""

    seed: int
    cycles: int
    troubles: Mapping[str, Trouble]
    pause: float
    """Seconds between two messages of one sender, at the least."""
    calm: tuple[float, float] = (0.1, 1.0)
    """Seconds between two faults: from, to."""
    intruder: bool = False
    brokers: str = "mosquitto"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """How it ended."""

    plan: Plan
    seconds: float
    settled: float
    """Seconds until everything was over after the last fault."""
    faults: Counter[str]
    counts: Counter[What]
    deeds: int
    violations: list[Violation]

    def lines(self) -> list[str]:
        """Return the report for people."""
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        count = self.counts
        deeds = f"; {self.deeds} deeds of the intruder" if self.deeds else ""
        began = f"seed {self.plan.seed} on {self.plan.brokers}: {self.faults.total()} faults"
        messages = f"{count[What.SENT]} messages, {count[What.COPY]} copies"
        shown = f"{count[What.SHOWN]} shown, {count[What.FAILED]} failed at first"
        return [
            f"{began} in {self.seconds:.0f} s, everything over {self.settled:.0f} s later",
            f"  faults: {faults}{deeds}",
            f"  {messages}, {shown}, {count[What.READ]} told as read",
            f"  violations: {len(self.violations)}",
            *(f"    {violation}" for violation in self.violations[:50]),
        ]


async def run(plan: Plan, made: Path, directory: Path) -> Report:
    """Run a campaign in an empty directory, in a copy of the fleet in ``made``.

    Raises:
        StuckError: something did not go on by itself.
    """
    mosquitto = None
    if plan.brokers == "mosquitto":
        mosquitto = Mosquitto(directory, persistent=True)
        mosquitto.start()
    try:
        async with world(
            made,
            directory / "world",
            mosquitto,
            pause=plan.pause,
            on_small_disk="fill-disk" in plan.troubles,
            own_clock="jump-clock" in plan.troubles,
        ) as here:
            return await _run(plan, here)
    finally:
        if mosquitto is not None:
            mosquitto.stop()


async def _run(plan: Plan, here: World) -> Report:
    chance = random.Random(plan.seed)
    intruder = Intruder(here.port, random.Random(plan.seed))
    if plan.intruder:
        here.tasks.append(asyncio.ensure_future(intruder.run()))
    started = time.monotonic()
    faults = await _break(plan, here, chance)
    broken = time.monotonic()
    remains = await here.settle()
    records = history.load(here.history)
    return Report(
        plan=plan,
        seconds=broken - started,
        settled=time.monotonic() - broken,
        faults=faults,
        counts=Counter(record.what for record in records),
        deeds=intruder.deeds,
        violations=check(records, remains),
    )


async def _break(plan: Plan, here: World, chance: random.Random) -> Counter[str]:
    possible = sorted(plan.troubles)
    if here.mosquitto is None:
        possible = [name for name in possible if name not in BROKERS_OWN]
    async with asyncio.timeout(_PATIENCE):
        # A gateway that holds nothing yet believes any clock when it starts (PROTOCOL 13.7).
        while not here.watcher.copies:  # noqa: ASYNC110 - the watcher tells nobody
            await asyncio.sleep(0.1)
    faults: Counter[str] = Counter()
    told = time.monotonic()
    for number in range(1, plan.cycles + 1):
        await asyncio.sleep(chance.uniform(*plan.calm))
        name = chance.choice(possible)
        here.pen.write(What.FAULT, detail=name)
        await plan.troubles[name](here, chance)
        faults[name] += 1
        if time.monotonic() - told > _PROGRESS:
            told = time.monotonic()
            print(f"  {number} of {plan.cycles} faults", flush=True)
    return faults

"""How many readings a second pass the examiner if a commit takes as long as on an SD card.

.venv/bin/python -m tests.hostile.throughput 0 0.02 0.05
"""
# mypy: ignore-errors
# ruff: noqa: B007

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from gateway.decide import decide
from gateway.examiner import Examiner
from gateway.metrics import Metrics
from tests.hostile.test_hostile_gateway import SENDERS, arrival_of, give_rule, reading
from tests.support.envelopes import TOPICS, Fleet
from tests.unit.gateway.edges import open_parts

COUNT = 200


async def measure(delay: float) -> None:
    fleet = Fleet()
    fleet.admit("hub", "phone", *SENDERS)
    give_rule(fleet, "require")
    with tempfile.TemporaryDirectory() as directory:
        async with open_parts(fleet, Path(directory)) as parts:
            keeper = parts.keeper
            run = keeper.ledger.run

            async def slow(work):  # type: ignore[no-untyped-def]
                result = await run(work)
                await asyncio.sleep(delay)  # fdatasync
                return result

            keeper.ledger.run = slow  # type: ignore[method-assign]
            done = 0
            ended = asyncio.Event()

            def count(effects) -> None:  # type: ignore[no-untyped-def]
                nonlocal done
                done += len(effects.publish)
                if done == COUNT:
                    ended.set()

            examiner = Examiner(keeper, TOPICS, count, Metrics())  # type: ignore[arg-type]
            sealed = [reading(fleet, SENDERS[i % 16]) for i in range(COUNT)]
            arrivals = [arrival_of(one) for one in sealed]
            decisions = await keeper.write(
                lambda tx: [decide(tx, one, TOPICS, keeper.situation) for one in arrivals]
            )
            for arrival, decision in zip(arrivals, decisions, strict=True):
                assert decision.question is not None
                examiner.ask(arrival, decision.question)
            began = time.monotonic()
            task = asyncio.create_task(examiner.run())
            await ended.wait()
            took = time.monotonic() - began
            task.cancel()
            print(f"fdatasync +{delay * 1000:.0f} ms: {COUNT / took:.0f} readings/s")
            began = time.monotonic()
            for arrival, decision in zip(arrivals, decisions, strict=True):
                await asyncio.to_thread(examiner._verify, decision.question, keeper.pin.fleet_id)
            print(f"  proofs alone: {COUNT / (time.monotonic() - began):.0f}/s")


for given in map(float, sys.argv[1:] or ["0"]):
    asyncio.run(measure(given))

"""`make faults`: the campaigns, and what they find. Exits 1 if a promise was broken.

Every option has its place in docs/reliability.md.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.faults import campaign, trouble
from tests.faults.campaign import Plan
from tests.faults.disk import can_mount, can_trace
from tests.faults.trouble import Trouble
from tests.faults.world import make_fleet
from tests.faults.wrong_clock import find_faketime

_TROUBLES: Mapping[str, Mapping[str, Trouble]] = {
    "kills": trouble.KILLS,
    "everything": trouble.EVERYTHING,
}


def main() -> None:
    """Run what the options ask for; without any, each kind of campaign for a while."""
    options = _parse()
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    if options.troubles:
        plans = [_plan(options, seed, options.broker, options.troubles, options.cycles)]
    else:
        plans = [
            _plan(options, seed, "mosquitto", "kills", options.cycles),
            _plan(options, seed + 1, "mosquitto", "everything", options.cycles),
            _plan(options, seed + 2, "embedded", "everything", options.cycles),
        ]
    failed = False
    with tempfile.TemporaryDirectory(prefix="sealgate-faults-") as directory:
        base = Path(directory)
        print("Making a fleet ...", flush=True)
        (base / "made").mkdir()
        make_fleet(base / "made")
        for number, plan in enumerate(plans):
            here = base / str(number)
            here.mkdir()
            print(f"Seed {plan.seed}, {plan.cycles} faults on {plan.brokers} ...", flush=True)
            report = asyncio.run(campaign.run(plan, base / "made", here))
            print("\n".join(report.lines()), flush=True)
            failed |= bool(report.violations)
            if report.violations and options.keep:
                shutil.copytree(here, Path(options.keep) / str(plan.seed))
    sys.exit(failed)


def _plan(options: argparse.Namespace, seed: int, broker: str, troubles: str, cycles: int) -> Plan:
    chosen = dict(_TROUBLES[troubles])
    if not can_mount():
        chosen.pop("fill-disk", None)
    if not find_faketime():
        chosen.pop("jump-clock", None)
    if not can_trace():
        chosen.pop("fail-disk", None)
    return Plan(
        seed=seed,
        cycles=cycles,
        troubles=chosen,
        pause=options.pause,
        intruder=troubles == "everything" and broker == "mosquitto",
        brokers=broker,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--troubles", choices=sorted(_TROUBLES), help="one campaign of this kind")
    parser.add_argument("--broker", choices=["mosquitto", "embedded"], default="mosquitto")
    parser.add_argument("--cycles", type=int, default=60, help="faults of each campaign [60]")
    parser.add_argument("--seed", type=int, help="of the first campaign [random]")
    parser.add_argument(
        "--pause", type=float, default=0.02, help="seconds between a sender's messages [0.02]"
    )
    parser.add_argument("--keep", help="directory for what a failed campaign leaves")
    return parser.parse_args()


if __name__ == "__main__":
    main()

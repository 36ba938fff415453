"""Add up what 100 meters have measured, and bill one of them, without anybody seeing a reading.

python examples/metering.py ./neighbourhood

Everything runs on this machine, with a gateway and a broker of its own. Consumption is the standard
load profile of German households, H25 by the BDEW, as the package demandlib (MIT licence) has it,
for homes of different sizes: pip install 'sealgate[all]' demandlib
"""

import csv
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from device_sdk import Device, Sent, create_device, trust_root
from gateway.owner.fleet import Fleet

METERS = [f"meter-{number:03}" for number in range(1, 101)]
TRUSTEES = ["consumers", "council"]
"""Whose devices add up shares: two who will not work together to look into single homes."""
NOBODY = "nobody"
"""A channel needs a reader, who sees every reading. This one's keys are erased at once."""
BILLED = METERS[6]
EPOCH = 15
"""Seconds: a quarter of an hour passes faster here than in a neighbourhood."""
SUPPER, BREAKFAST = 4 * 18, 4 * 7
"""Quarters of an hour from midnight: 18:00 and 07:00."""
QUARTERS = 12
RULE = ("--reading", "Wh", "--range=0..5000", "--mode", "require", "--totals")
LIFETIME = timedelta(minutes=5)


def profile() -> list[float]:
    """Return what a household uses in each quarter of a working day in December, as a part of
    what it uses in a year."""
    package = find_spec("demandlib")
    if package is None or package.origin is None:
        raise SystemExit("metering.py needs the load profiles of: pip install demandlib")
    file = Path(package.origin).parent / "bdew" / "bdew_data" / "h25.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        months, days, *quarters = csv.reader(lines)
    column = list(zip(months, days, strict=True)).index(("Dezember", "WT"))
    return [float(quarter[column]) / 1e6 for quarter in quarters]  # kWh of a GWh


class Neighbourhood:
    """The fleet in a directory. ``truth`` is what the meters measure, which stays with them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        chance, shares = random.Random(7), profile()  # noqa: S311  homes, not keys
        self._homes = {
            name: [
                round(chance.uniform(1.5e6, 6e6) * share * chance.uniform(0.3, 1.7))
                for share in shares
            ]
            for name in METERS
        }
        self.truth = {name: home[SUPPER] for name, home in self._homes.items()}
        self.own = self._homes[BILLED][BREAKFAST : BREAKFAST + QUARTERS]
        """What the billed meter measures besides, one quarter after the other."""
        self.start = 0
        self._stack = ExitStack()
        self._devices: dict[str, Device] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # What owner and operator do.

    def make(self) -> None:
        """Make all keys, and let the owner admit everybody and allow the totals."""
        now = int(time.time())
        self.directory.mkdir(parents=True)
        fleet = Fleet.create(self.directory / "fleet", name="grid", passphrase=None, now=now)
        self.run("gateway", "init", "gw-1", "--data", "gateway-data")
        request = (self.directory / "gateway-data" / "join-request").read_bytes()
        fleet.admit(request, role="gateway", now=now)
        names = [*METERS, *TRUSTEES, NOBODY]
        with ThreadPoolExecutor(2) as pool:
            requests = pool.map(
                lambda n: create_device(self.directory / n, n, None, now=now), names
            )
            for path in requests:
                fleet.admit(path.read_bytes(), now=now)
        shutil.rmtree(self.directory / NOBODY)
        self._allow("load", METERS, "--least", "50", *_each("--trustee", TRUSTEES))
        self._allow("power", METERS, "--least", "10")

    def _allow(self, channel: str, senders: Sequence[str], *totals: str) -> None:
        epoch = ("--epoch", str(EPOCH))
        who = ("--reader", NOBODY, *_each("--sender", senders))
        self.run("fleet", "channel", "set", "fleet", channel, *who, *RULE, *epoch, *totals)

    def run(self, *command: str) -> str:
        """Run one of the project's commands."""
        words = [sys.executable, "-m", "gateway.cli", *command]
        return subprocess.check_output(words, cwd=self.directory, text=True)  # noqa: S603  our own

    def serve(self) -> None:
        """Start the gateway, with its own broker."""
        words = [sys.executable, "-m", "gateway.cli", "serve", "--data", "gateway-data"]
        log = self._stack.enter_context((self.directory / "serve.log").open("w"))
        gateway = self._stack.enter_context(
            subprocess.Popen(  # noqa: S603  our own
                [*words, "--bundle", "fleet/public", "--listen", "127.0.0.1:0"],
                cwd=self.directory,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        )
        self._stack.callback(gateway.send_signal, signal.SIGTERM)
        ready = gateway.stdout.readline() if gateway.stdout is not None else ""
        url = ready.removeprefix("ready ").strip()
        root = (self.directory / "fleet" / "public" / "root.pub").read_bytes()
        for name in [*METERS, *TRUSTEES]:
            trust_root(self.directory / name, root, broker=url)
            opened = self._stack.enter_context(Device.open(self.directory / name))
            self._devices[name] = opened

    # What the meters do.

    def measure(self) -> None:
        """Let every meter send one reading in one epoch, and the billed one some more."""
        for device in self._devices.values():
            device.status(timeout=30)  # connected, and has the roster
        self.start = (int(time.time()) // EPOCH + 1) * EPOCH
        _sleep_until(self.start)
        sent = [self._send(name, value, "load") for name, value in self.truth.items()]
        sent += [self._send(BILLED, value, "power") for value in self.own]
        if time.time() >= self.start + EPOCH:
            raise SystemExit("this machine is too busy for so short an epoch")
        for one in sent:
            one.wait_held(60)
        for name in METERS:
            if not self._devices[name].totals.flush(60):
                raise SystemExit(f"the shares of {name} are not held yet")
        _sleep_until(self.start + EPOCH)

    def _send(self, name: str, value: int, channel: str) -> Sent:
        return self._devices[name].send_reading(value, channel=channel, lifetime=LIFETIME)

    # What trustees do.

    def collect(self) -> None:
        """Let every trustee take its shares."""
        for name in TRUSTEES:
            if self._devices[name].totals.collect(60) != len(METERS):
                raise SystemExit(f"{name} has not got every share")

    def add_up(self) -> str:
        """Let operator and trustees find out the sum, and return what the operator is told."""
        data = ("--data", "gateway-data", "--channel", "load")
        self.run("totals", "sum-request", *data, "--epoch", _text(self.start), "--out", "sum")
        request = (self.directory / "sum").read_bytes()
        reports = {name: self._devices[name].totals.report(request) for name in TRUSTEES}
        for name, report in reports.items():
            (self.directory / f"{name}.report").write_bytes(report)
            answer = self._devices[name].totals.answer_sum(request, list(reports.values()))
            (self.directory / f"{name}.answer").write_bytes(answer)
        parts = [f"{name}.report" for name in TRUSTEES], [f"{name}.answer" for name in TRUSTEES]
        every = (*_each("--report", parts[0]), *_each("--answer", parts[1]))
        return self.run("totals", "sum", "fleet/public", "sum", *every)

    def bill(self) -> str:
        """Let operator and meter find out a bill, and return what the operator is told."""
        (self.directory / "tariff.toml").write_text('price = "0.01 cent"\nweight = 3\n')
        data = ("--data", "gateway-data", "--channel", "power", "--device", BILLED)
        period = ("--from", _text(self.start), "--to", _text(self.start + EPOCH))
        tariff = ("--tariff", "tariff.toml")
        self.run("totals", "bill-request", *data, *period, *tariff, "--out", "bill")
        request = (self.directory / "bill").read_bytes()
        answer = self._devices[BILLED].totals.answer_bill(request)
        (self.directory / "bill.answer").write_bytes(answer)
        return self.run("totals", "check", "fleet/public", "bill", "bill.answer")


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _text(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def main(directory: Path) -> None:
    """Tell the whole story."""
    with Neighbourhood(directory) as grid:
        print(f"Making {len(METERS)} meters, {len(TRUSTEES)} trustees and a gateway ...")
        grid.make()
        grid.serve()
        print("Measuring ...")
        grid.measure()
        grid.collect()
        print("Operator:", grid.add_up(), end="")
        print("Operator:", grid.bill(), end="")
        print("The meters know:", sum(grid.truth.values()), "and", 3 * sum(grid.own))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""How long a gateway with very many held messages takes to start, and whether mail flows meanwhile.

``python -m tests.bench.backlog --count 100000`` runs this alone.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import backlog_fleet
from tests.bench.backlog_fleet import PROBE, Backlog
from tests.bench.backlog_probe import Probe
from tests.brokers.mosquitto import Mosquitto

GENEROUS = "set_tcp_nodelay true\nsys_interval 1\n"
DEFAULTS = f"{GENEROUS}max_queued_messages 1000\nmax_inflight_messages 20\n"
"""Mosquitto's own limits, which cut replays short."""
_PATIENCE = 600.0
_AFTER = 3.0
"""Seconds that the probe goes on after all is done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One start of a gateway, from the start of its process on."""

    name: str
    ready: float
    """Seconds until it said so."""
    whole: float
    """Seconds until every copy stood at the broker, to the second."""
    memory: int
    """Bytes at most resident."""
    before_ready: int
    """New messages held before it was ready."""
    latencies: list[float]
    """Seconds from sending to *held* of every new message, sorted."""
    unanswered: int
    published: int
    """Publications that the broker took meanwhile, the probe's included."""


def run(count: int, limits: str, directory: Path) -> list[Run]:
    """Start a gateway again and again with so many messages that it holds."""
    backlog = backlog_fleet.make(directory, count)
    with Mosquitto(directory, extra=limits) as broker:
        first = _start(backlog, broker, count, "all copies to be published")
        again = _start(backlog, broker, count, "restart, the broker has all")
        broker.restart()
        lost = _start(backlog, broker, count, "restart, the broker lost all")
    return [first, again, lost]


def _start(backlog: Backlog, broker: Mosquitto, count: int, name: str) -> Run:
    probe = Probe(broker.port, lambda: backlog.seal(PROBE, backlog.targets[0], 1))
    command: list[str | Path] = [
        *(sys.executable, "-m", "gateway.cli", "serve", "--log-format", "json"),
        *("--data", backlog.data, "--bundle", backlog.bundle, "--broker", broker.url),
    ]
    began = time.monotonic()
    with (backlog.data.parent / "log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        if not process.stdout.readline().startswith("ready"):
            raise RuntimeError("the gateway did not start")
        ready = time.monotonic()
        whole = _await_copies(probe, count)
        time.sleep(_AFTER)
        published = probe.published[-1][1] - probe.published[0][1]
        probe.end()
        memory = _peak_memory(process.pid)
    finally:
        process.terminate()
        process.wait()
    return Run(
        name=name,
        ready=ready - began,
        whole=max(ready, whole) - began,
        memory=memory,
        before_ready=sum(sent + took < ready for sent, took in probe.held),
        latencies=sorted(took for _, took in probe.held),
        unanswered=probe.unanswered,
        published=published,
    )


def _await_copies(probe: Probe, count: int) -> float:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for when, retained in probe.retained:
            if retained >= count:
                return when
        time.sleep(0.2)
    raise TimeoutError("some copies did not come back")


def _peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def table(runs: list[Run], title: str) -> Table:
    """Return the figures as they are printed."""
    made = Table(title=title)
    made.add_column("start")
    for column in ("ready", "all stand", "peak memory", "new mail held before ready"):
        made.add_column(column, justify="right")
    made.add_column("send to held, p50 / p99 / max", justify="right")
    made.add_column("not held", justify="right")
    made.add_column("publications", justify="right")
    for one in runs:
        made.add_row(
            one.name,
            f"{one.ready:.1f} s",
            f"{one.whole:.1f} s",
            f"{one.memory / 1e6:.0f} MB",
            str(one.before_ready),
            _quantiles(one.latencies),
            str(one.unanswered),
            f"{one.published:,}",
        )
    return made


def _quantiles(latencies: list[float]) -> str:
    if len(latencies) < 2:
        return "-"
    p99 = statistics.quantiles(latencies, n=100)[98]
    figures = (statistics.median(latencies), p99, latencies[-1])
    return " / ".join(f"{1000 * one:,.0f}" for one in figures) + " ms"


def tables(count: int) -> list[Table]:
    """Run with generous limits of the broker, and with Mosquitto's own."""
    made = []
    for what, limits in (("generous limits", GENEROUS), ("Mosquitto's default limits", DEFAULTS)):
        with tempfile.TemporaryDirectory() as name:
            title = f"{count:,} held messages, {what}"
            made.append(table(run(count, limits, Path(name)), title))
    return made


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    for one in tables(parser.parse_args().count):
        Console(width=140).print(one)


if __name__ == "__main__":
    main()

"""``make bench``: prints every table."""

import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import (
    backlog,
    fleet_size,
    flood,
    jetstream,
    lifecycles,
    log,
    proofs,
    relay,
    sealing,
)
from tests.brokers.mosquitto import Mosquitto

_GOALS = {
    "seal to 1 readers, 1 thread": "0.80",
    "seal to 100 readers, 1 thread": "0.90",
    "seal to 100 readers, 2 threads": "1.50",
    "open one copy of 1": "0.95",
}
_COUNT, _WINDOW, _ROUNDS = 4000, 64, 3
_BACKLOG = 100_000
_FLOODS = (200, 500, 1000)
"""Wrong proofs a second: the most would take more than two cores if all were verified."""
_NODELAY = "set_tcp_nodelay true"


def main() -> None:
    """Run all benchmarks one after the other; nothing here passes or fails."""
    console = Console()
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    console.print(_sealing_table())
    console.print(fleet_size.table())
    console.print(_log_table())
    console.print(_proof_table())
    console.print(_lifecycle_table())
    console.print(_flood_table())
    for table in backlog.tables(_BACKLOG):
        console.print(table)


def _sealing_table() -> Table:
    table = _table("Sealing: time of the raw primitives over ours", "ours", "raw / ours", "goal")
    for line in sealing.run():
        ours, ratio = f"{line.ours * 1e6:,.0f} us", f"{line.raw_over_ours:.2f}"
        table.add_row(line.name, ours, ratio, _GOALS.get(line.name, ""))
    return table


def _log_table() -> Table:
    table = _table("The gateway's log of rosters and keys", "cost")
    for line in log.run(appended=10_000, size=100_000):
        table.add_row(line.what, line.figure)
    return table


def _proof_table() -> Table:
    columns = ("ours", "over the multiplications named", "over those done", "goal")
    table = _table("Proofs: time over that of the library's scalar multiplications", *columns)
    for line in proofs.run():
        ratios = [f"{ratio:.2f}" if ratio else "" for ratio in (line.over_named, line.over_done)]
        goal = "5 ms, 1.30" if ", 11 bits" in line.what else "1.30" if line.over_named else ""
        table.add_row(line.what, f"{line.ours * 1e3:,.2f} ms", *ratios, goal)
    return table


def _lifecycle_table() -> Table:
    """Alternate the three, so that the machine's moods meet all of them."""
    runs: dict[str, Callable[[], float]] = {
        "gateway on Mosquitto": lambda: _with_mosquitto(_through_gateway),
        "bare relay, nothing stored or checked": lambda: _with_mosquitto(_through_relay),
        "JetStream, sync_interval: always": lambda: jetstream.run(count=_COUNT, window=_WINDOW),
    }
    figures: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            figures[name].append(run())
    table = _table(
        f"Lifecycles, 512 bytes, one reader, {_WINDOW} at a time", "per s", "gateway / it"
    )
    ours = figures["gateway on Mosquitto"]
    for name, rates in figures.items():
        ratio = statistics.median(a / b for a, b in zip(ours, rates, strict=True))
        table.add_row(name, f"{statistics.median(rates):,.0f}", f"{ratio:.2f}")
    return table


def _flood_table() -> Table:
    table = _table("Latency of others during a flood of wrong proofs", "quiet", "flood", "ratio")
    for per_second in _FLOODS:
        with tempfile.TemporaryDirectory() as name, Mosquitto(Path(name), extra=_NODELAY) as broker:
            for line in flood.run(broker.port, Path(name), per_second=per_second):
                quiet, loud = (f"{part * 1e3:.1f} ms" for part in (line.quiet, line.flooded))
                ratio = f"{line.flooded / line.quiet:.2f}"
                table.add_row(f"{line.what}, {per_second} a second", quiet, loud, ratio)
    return table


def _with_mosquitto(run: Callable[[int, Path], float]) -> float:
    with tempfile.TemporaryDirectory() as name, Mosquitto(Path(name), extra=_NODELAY) as broker:
        return run(broker.port, Path(name))


def _through_gateway(port: int, directory: Path) -> float:
    return lifecycles.run(port, directory, count=_COUNT, window=_WINDOW)


def _through_relay(port: int, _directory: Path) -> float:
    return relay.run(port, count=_COUNT, window=_WINDOW)


def _table(title: str, *figures: str) -> Table:
    table = Table(title=title)
    table.add_column("what")
    for figure in figures:
        table.add_column(figure, justify="right")
    return table


if __name__ == "__main__":
    main()

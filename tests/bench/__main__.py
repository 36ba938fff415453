"""``make bench``: prints every table."""

import os
import platform

from rich.console import Console
from rich.table import Table

from tests.bench import sealing

_GOALS = {
    "seal to 1 readers, 1 thread": "0.80",
    "seal to 100 readers, 1 thread": "0.90",
    "seal to 100 readers, 2 threads": "1.50",
    "open one copy of 1": "0.95",
}


def main() -> None:
    """Run all benchmarks one after the other; nothing here passes or fails."""
    console = Console()
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    table = Table(title="Sealing: time of the raw primitives over ours, in one run")
    for column in ("operation", "ours", "raw / ours", "goal"):
        table.add_column(column, justify="left" if column == "operation" else "right")
    for line in sealing.run():
        table.add_row(
            line.name,
            f"{line.ours * 1e6:,.0f} us",
            f"{line.raw_over_ours:.2f}",
            _GOALS.get(line.name, ""),
        )
    console.print(table)


if __name__ == "__main__":
    main()

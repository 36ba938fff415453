"""How the demo looks: numbered steps, the commands behind them, and facts that were checked."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.cli.demo.facts import DemoError

_INDENT = 4
_BYTES_A_LINE = 16
_MOST_COLUMNS = 100


class Screen:
    """Prints the story. A fact that does not hold ends it."""

    def __init__(self, console: Console) -> None:
        console.width = min(console.width, _MOST_COLUMNS)
        self._console = console
        self._steps = 0
        self.facts = 0

    def title(self, text: str, *subtitle: str) -> None:
        """Begin."""
        self._console.print()
        self._console.print(Text(text, style="bold"))
        for line in subtitle:
            self._console.print(Text(line, style="dim"))

    def end(self, text: str) -> None:
        """Say how it went."""
        self._console.print()
        self._console.print(Text(text, style="bold green"))

    def step(self, text: str) -> None:
        """Begin the next step."""
        self._steps += 1
        self._console.print()
        self._line(Text(f"{self._steps:>2} ", "bold cyan"), Text(text, "bold"), indent=0)

    def command(self, text: str, aside: str = "") -> None:
        """Show a command as somebody would type it, with a remark."""
        words = Text.assemble(("sealgate ", "dim"), (text, "cyan"))
        if aside:
            words.append(f"  # {aside}", "dim")
        self._line(Text("$", "dim"), words)

    def fact(self, text: str, holds: bool) -> None:
        """Show a fact that was checked. Raises DemoError if it does not hold."""
        self._line(Text("✓", "bold green") if holds else Text("✗", "bold red"), Text(text))
        if not holds:
            raise DemoError(f"this does not hold: {text}")
        self.facts += 1

    def quote(self, text: str) -> None:
        """Show what a command printed, as far as it fits on a line."""
        line = Text(text, style="yellow", overflow="ellipsis", no_wrap=True)
        self._console.print(Padding(line, (0, 0, 0, _INDENT + 2)))

    def copies(self, readers: Sequence[str], standing: Collection[str]) -> None:
        """Show which readers' copies stand at the broker."""
        parts: list[tuple[str, str]] = [("copies at the broker:", "dim")]
        for reader in readers:
            here = reader in standing
            parts.append((f"  {'●' if here else '○'} {reader}", "yellow" if here else "dim"))
        self._indented(Text.assemble(*parts))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table; columns whose name ends in a space hold numbers."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
        for name in columns:
            table.add_column(name.strip(), justify="right" if name.endswith(" ") else "left")
        for row in rows:
            table.add_row(*row)
        self._indented(table)

    def values(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show names and values in a frame."""
        table = Table(box=box.ROUNDED, show_header=False, border_style="dim")
        for name, value in rows:
            table.add_row(name, Text(value, style="yellow"))
        self._indented(table)

    def bytes(self, title: str, data: bytes, lines: int) -> None:
        """Show how something begins, as a snooper's tool would."""
        self._indented(Text(title, style="dim"))
        for start in range(0, lines * _BYTES_A_LINE, _BYTES_A_LINE):
            piece = data[start : start + _BYTES_A_LINE]
            text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)
            self._indented(Text(f"{start:04x}  {piece.hex(' '):<47}  {text}", style="dim"))

    def log(self, lines: Sequence[str]) -> None:
        """Show the last lines of a log, when something went wrong."""
        for line in lines:
            self._indented(Text(line, style="dim"))

    def waiting(self, text: str) -> AbstractContextManager[object]:
        """Show that something goes on."""
        return self._console.status(Text(text, style="dim"))

    def _line(self, mark: Text, text: Text, indent: int = _INDENT) -> None:
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_row(mark, text)
        self._indented(grid, indent)

    def _indented(self, what: Text | Table, indent: int = _INDENT) -> None:
        self._console.print(Padding(what, (0, 0, 0, indent), expand=False))

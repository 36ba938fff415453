"""A wall clock of its own for one process.

libfaketime changes it, also while the process runs, and leaves its monotonic clock alone, as a
clock that is set does. Under it `time.sleep` fails: nothing that runs so may need it.
"""

from pathlib import Path

YEAR = 365 * 24 * 3600


def find_faketime() -> str:
    """Return libfaketime's path; empty if it is not installed."""
    return str(next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), ""))


class WrongClock:
    """The wall clock of whatever runs in its environment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        """Let it be so many seconds ahead; behind, if negative."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to go by this clock."""
        return {
            "LD_PRELOAD": find_faketime(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

"""An older ledger to go back to."""

import shutil
import time
from pathlib import Path

from gateway.store.sqlite import LEDGER_FILE


class Backup:
    """A copy of the ledger, made while its gateway was dead.

    What was held since then stands nowhere but at the broker. So a broker that loses something
    makes the copy useless, and the next one is made at the next kill.
    """

    def __init__(self, data: Path, directory: Path) -> None:
        self._data, self._directory = data, directory
        self._taken_at = 0

    @property
    def is_there(self) -> bool:
        """Whether there is one to go back to."""
        return self._taken_at > 0

    def take(self) -> None:
        """Copy the files of a ledger whose gateway does not run, unless there is a copy already."""
        if self._taken_at:
            return
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir()
        for path in self._data.glob(f"{LEDGER_FILE}*"):
            shutil.copy2(path, self._directory)
        self._taken_at = time.monotonic_ns()

    def forget(self) -> None:
        """What was made is of no use any more."""
        self._taken_at = 0

    def restore(self) -> int:
        """Put the copy in the place of the ledger; return when it was made, as histories count."""
        for path in self._data.glob(f"{LEDGER_FILE}*"):
            path.unlink()
        for path in self._directory.iterdir():
            shutil.copy2(path, self._data)
        taken_at, self._taken_at = self._taken_at, 0
        return taken_at

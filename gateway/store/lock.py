"""One process per data directory."""

import fcntl
import os
from pathlib import Path

from gateway.errors import LedgerError, LedgerLockedError

LOCK_FILE = "lock"


def may_be_in_use(directory: Path) -> bool:
    """Tell whether the process that had the directory last may still be there, without a lock.

    Another process may have got the same number since.
    """
    try:
        os.kill(int((directory / LOCK_FILE).read_text()), 0)
    except (OSError, ValueError) as error:
        return isinstance(error, PermissionError)
    return True


class DirectoryLock:
    """Held until `release`, or until the process ends, however it ends."""

    def __init__(self, directory: Path) -> None:
        """Take the lock of a directory.

        Raises:
            LedgerLockedError: another process has it.
            LedgerError: the directory is missing or may not be written.
        """
        try:
            file = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError(f"cannot lock {directory}: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.pread(file, 20, 0)
            os.close(file)
            raise LedgerLockedError(str(directory), int(pid) if pid.isdigit() else 0) from error
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        self._file = file

    def release(self) -> None:
        """Let another process have the directory; nothing happens the second time."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

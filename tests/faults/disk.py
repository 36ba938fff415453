"""A small disk of its own for one directory, and a disk that fails: not every machine lets us."""

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

SIZE = "24m"
"""Room for some thousands of messages, and filled at once."""


@functools.cache
def can_mount() -> bool:
    """Tell whether a small disk can be mounted here: root may, but not in every container."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as directory:
        try:
            with small_disk(Path(directory) / "data"):
                return True
        except subprocess.CalledProcessError:
            return False


@functools.cache
def can_trace() -> bool:
    """Tell whether strace is there and may look into processes."""
    if not shutil.which("strace"):
        return False
    command = ["strace", "-qq", "-e", "trace=none", "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """Put a directory, and what is in it, on a disk of `SIZE` while the block lasts.

    Raises CalledProcessError if that is not allowed.
    """
    before = directory.with_name(f"{directory.name}-before")
    directory.mkdir(exist_ok=True)
    directory.rename(before)
    directory.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(directory)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        shutil.copytree(before, directory, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)

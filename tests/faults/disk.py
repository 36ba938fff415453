"""A small disk of its own for one directory: root may mount one, nobody else."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

SIZE = "24m"
"""Room for some thousands of messages, and filled at once."""
CAN_MOUNT = os.geteuid() == 0


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """Put a directory and what is in it on a disk of `SIZE` while the block lasts."""
    before = directory.with_name(f"{directory.name}-before")
    directory.rename(before)
    directory.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(directory)]
    subprocess.run(mount, check=True)
    try:
        shutil.copytree(before, directory, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)

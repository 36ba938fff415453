"""A fleet to break, made once."""

from pathlib import Path

import pytest

from tests.faults.world import make_fleet


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gateway, senders and readers that nobody has used."""
    directory = tmp_path_factory.mktemp("faults")
    make_fleet(directory)
    return directory

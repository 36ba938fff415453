"""A fleet made once by commands, and copies of it in which a gateway runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.mosquitto import Mosquitto
from tests.support.home import Home, make_home


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet with a gateway and three devices that nobody has used."""
    directory = tmp_path_factory.mktemp("home")
    make_home(directory)
    return directory


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Iterator[Home]:
    """A running gateway with a broker of its own, and devices that know it."""
    home = Home(made_home, tmp_path / "home")
    try:
        home.serve()
        home.trust()
        yield home
    finally:
        home.stop()


@pytest.fixture(params=["embedded", "mosquitto"])
def home_on_each_broker(
    request: pytest.FixtureRequest, made_home: Path, tmp_path: Path
) -> Iterator[Home]:
    """The same, once with the gateway's own broker and once beside Mosquitto."""
    if request.param == "embedded":
        yield request.getfixturevalue("home")
        return
    with Mosquitto(tmp_path, program=request.getfixturevalue("mosquitto")) as mosquitto:
        home = Home(made_home, tmp_path / "home", broker=mosquitto.url)
        try:
            home.serve()
            home.trust()
            yield home
        finally:
            home.stop()

"""Clocks that jump by a year, on the real service: no mass deletion, no replay (PROTOCOL 13.7)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from device_sdk import Device, NotHeldYetError
from device_sdk.enrolment.settings_file import read_pin
from device_sdk.keys.keystore import KeyStore
from device_sdk.wire.login import make_token
from device_sdk.wire.state import ONLINE, PAUSED
from gateway.cli.demo.snooper import Packet
from tests.brokers.mosquitto import Mosquitto
from tests.faults.wrong_clock import YEAR, find_faketime
from tests.faults.wrong_time import (
    PATIENCE,
    ClockHome,
    await_state,
    copies_of,
    envelope_of,
    states,
    told,
    until,
)
from tests.support.home import make_home
from tests.support.onlooker import inboxes, onlooker

pytestmark = [
    pytest.mark.skipif(not find_faketime(), reason="libfaketime is not installed (make faketime)"),
    pytest.mark.timeout(240),
]
AHEAD, BACK, RIGHT = YEAR, -YEAR, 0
A_DAY_IN_1970 = 86_400


@pytest.fixture(scope="module")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet with a gateway and three devices that nobody has used."""
    directory = tmp_path_factory.mktemp("clocks")
    make_home(directory)
    return directory


@pytest.fixture(params=["embedded", "mosquitto"])
def home(request: pytest.FixtureRequest, made_home: Path, tmp_path: Path) -> Iterator[ClockHome]:
    """A gateway that serves, at the right time at first, on each broker."""
    with contextmanager(_broker)(request, tmp_path) as url:
        home = ClockHome(made_home, tmp_path / "home", url)
        try:
            home.serve()
            home.trust()
            yield home
        finally:
            home.stop()


def _broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "embedded":
        yield ""
        return
    with Mosquitto(tmp_path, program=request.getfixturevalue("mosquitto")) as mosquitto:
        yield mosquitto.url


def read(home: ClockHome, name: str) -> list[bytes]:
    """Read all that waits for a device."""
    payloads = []
    with Device.open(home.directory / name) as device:
        for message in device.inbox(timeout=PATIENCE, until_empty=True):
            with message:
                payloads.append(message.payload)
        device.flush(PATIENCE)
    return payloads


def hold(home: ClockHome, payload: bytes, lifetime: timedelta = timedelta(days=7)) -> str:
    """Send a message from thermo-1 to the hub, and wait until it is held."""
    with Device.open(home.directory / "thermo-1") as device:
        sent = device.send(payload, to=["hub"], lifetime=lifetime)
        sent.wait_held(PATIENCE)
        return sent.message_id


class Impostor:
    """Whoever has taken the keys of thermo-1, and publishes what was on the wire before.

    It logs in by the gateway's clock, which is the only one that the embedded broker knows.
    """

    def __init__(self, home: ClockHome, skew: int) -> None:
        directory, address = home.directory / "thermo-1", urlsplit(home.url)
        with KeyStore.open(directory, None) as keys:
            pin = read_pin(directory)
            token = make_token(
                "thermo-1",
                audience=pin.fingerprint,
                now=int(time.time()) + skew,
                signer=keys.identity,
                aad=pin.aad,
            )
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="thermo-1")
        self._client.username_pw_set("thermo-1", token)
        self._client.connect(str(address.hostname), address.port or 0)
        self._client.loop_start()
        until(self._client.is_connected)

    def publish(self, packet: Packet) -> None:
        """Publish the same bytes under the same topic."""
        self._client.publish(packet.topic, packet.payload, qos=1).wait_for_publish(PATIENCE)

    def leave(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


# ---------------------------------------------------------------- a year ahead


def test_while_the_gateways_clock_is_a_year_ahead_nothing_ends_and_afterwards_it_goes_on(
    home: ClockHome,
) -> None:
    hold(home, b"read meanwhile")
    with onlooker(home) as eyes, Device.open(home.directory / "thermo-1") as thermo:
        await_state(eyes, ONLINE)
        home.clock.set(AHEAD)
        home.await_log("clock_leapt")
        stated = await_state(eyes, PAUSED)
        assert abs(stated.time - time.time()) < 60  # it does not say a year that it doubts
        sent = thermo.send(b"sent meanwhile", to=["hub"])
        until(lambda: ("refused", "paused") in told(eyes, "thermo-1", sent.message_id))
        with pytest.raises(NotHeldYetError, match="paused"):
            sent.wait_held(0)
        home.await_sweeps(eyes)
        assert home.owing_now() == [("hub",)]
        assert len(inboxes(eyes.standing())) == 1
        assert read(home, "hub") == [b"read meanwhile"]
        home.clock.set(RIGHT)
        await_state(eyes, ONLINE)
        sent.wait_held(PATIENCE)
        assert read(home, "hub") == [b"sent meanwhile"]
        assert set(sent.wait_read(PATIENCE).read_by) == {"hub"}
        assert all(abs(state.time - time.time()) < 60 for state in states(eyes))


def test_a_gateway_that_starts_a_year_ahead_keeps_everything_and_tells_of_no_other_year(
    home: ClockHome,
) -> None:
    hold(home, b"kept")
    home.serve_again(AHEAD)
    home.await_log("clock_leapt")
    with onlooker(home) as eyes:
        assert abs(await_state(eyes, PAUSED).time - time.time()) < 60
        home.await_sweeps(eyes)
        assert home.owing_now() == [("hub",)]
        assert len(inboxes(eyes.standing())) == 1
        home.clock.set(RIGHT)
        await_state(eyes, ONLINE)
    assert read(home, "hub") == [b"kept"]
    hold(home, b"and on it goes")


def test_an_operator_who_confirms_the_clock_is_believed(home: ClockHome) -> None:
    hold(home, b"over")
    home.serve_again(AHEAD, confirm=True)
    until(lambda: not any(home.owing_now()))
    with onlooker(home) as eyes:
        await_state(eyes, ONLINE)
        until(lambda: not inboxes(eyes.standing()))


# ---------------------------------------------------------------- a year back


@pytest.mark.parametrize("restarted", [False, True])
def test_a_gateway_whose_clock_is_a_year_back_ends_nothing_and_takes_in_no_replay(
    home: ClockHome, restarted: bool
) -> None:
    with onlooker(home) as eyes:
        forgotten = hold(home, b"read and forgotten")
        assert read(home, "hub") == [b"read and forgotten"]
        expired = hold(home, b"expired", timedelta(seconds=8))
        until(lambda: not any(home.owing_now()))
        with Device.open(home.directory / "thermo-1") as thermo:
            until(lambda: _is_noted(thermo, home))
        unread = hold(home, b"unread")
        replayed = [envelope_of(eyes, "thermo-1", one) for one in (forgotten, expired)]
    impostor = None if restarted else Impostor(home, RIGHT)
    if restarted:
        home.serve_again(BACK)
    else:
        home.clock.set(BACK)
    impostor = impostor or Impostor(home, BACK)
    with onlooker(home) as eyes:
        await_state(eyes, ONLINE)
        for packet in replayed:
            impostor.publish(packet)
        until(lambda: told(eyes, "thermo-1", forgotten) == [("held", "finished")])
        until(lambda: told(eyes, "thermo-1", expired) == [("refused", "expired")])
        home.await_sweeps(eyes)
        assert home.owing_now() == [("hub",)]
        (standing,) = inboxes(eyes.standing())
        assert standing.endswith(unread)
        assert not copies_of(eyes.packets, forgotten) + copies_of(eyes.packets, expired)
        impostor.leave()
        home.clock.set(RIGHT)
        until(lambda: abs(states(eyes)[-1].time - time.time()) < 60)
    assert read(home, "hub") == [b"unread"]


def _is_noted(sender: Device, home: ClockHome) -> bool:
    """Tell whether the gateway has forgotten all, as its sender has seen how it ended."""
    sender.refresh(PATIENCE)
    return home.owing_now() == []


# ---------------------------------------------------------------- devices in another time

READ_ALL = """
    from device_sdk import Device
    with Device.open("hub") as hub:
        for message in hub.inbox(timeout=3, until_empty=True):
            with message:
                print(message.text())
    """


@pytest.mark.parametrize("year", ["1970", "a year ahead"])
def test_a_reader_in_another_year_loses_nothing_that_is_held_for_it(
    home: ClockHome, year: str
) -> None:
    hold(home, b"1")
    shown = home.run_device(_skew(year), READ_ALL).split()
    until(lambda: len([one for one in home.owing_now() if one]) == 1 - len(shown))
    hold(home, b"2")
    assert [*shown, *(one.decode() for one in read(home, "hub"))] == ["1", "2"]


@pytest.mark.parametrize("year", ["1970", "a year ahead"])
def test_what_waits_in_an_outbox_outlives_a_start_in_another_year(
    home: ClockHome, year: str
) -> None:
    hold(home, b"so that the keys are known")
    home.stop()
    with Device.open(home.directory / "thermo-1") as thermo:
        message_id = thermo.send(b"waiting", to=["hub"]).message_id
    home.serve()
    home.run_device(
        _skew(year),
        f"""
        from device_sdk import Device, NotHeldYetError
        with Device.open("thermo-1") as thermo:
            try:
                thermo.find("{message_id}").wait_held(3)
            except NotHeldYetError:
                pass
        """,
    )
    with Device.open(home.directory / "thermo-1") as thermo:
        thermo.find(message_id).wait_held(PATIENCE)
    assert read(home, "hub") == [b"so that the keys are known", b"waiting"]


def _skew(year: str) -> int:
    now = int(time.time())
    return {"1970": A_DAY_IN_1970 - now, "a year ahead": AHEAD}[year]

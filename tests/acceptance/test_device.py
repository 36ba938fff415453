"""`Device` end to end: with the real gateway, on its own broker and beside Mosquitto."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_sdk import Device, NotHeldYetError, NotReadYetError, State
from tests.brokers.mosquitto import Mosquitto
from tests.support.home import Home

PATIENCE = 60.0


def open_device(home: Home, name: str) -> Device:
    return Device.open(home.directory / name)


def read(home: Home, name: str) -> list[bytes]:
    """Read all that waits for a device, as a script would."""
    payloads = []
    with open_device(home, name) as device:
        for message in device.inbox(timeout=PATIENCE, until_empty=True):
            with message:
                payloads.append(message.payload)
        device.flush(PATIENCE)
    return payloads


def run_and_kill(home: Home, script: str) -> None:
    """Run a script in a process of its own, and kill -9 it once it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=home.directory,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
        finally:
            process.send_signal(signal.SIGKILL)


def kill_gateway(home: Home) -> None:
    assert home._serve is not None
    home._serve.kill()
    with home._serve:
        home._serve.wait(PATIENCE)
    home._serve = None


# ------------------------------ the whole way, on each broker


def test_a_message_is_held_read_by_all_and_then_gone(home_on_each_broker: Home) -> None:
    home, marker = home_on_each_broker, os.urandom(24)
    with open_device(home, "thermo-1") as device:
        sent = device.send(marker, to=["hub", "phone"])
        sent.wait_held(PATIENCE)
        with pytest.raises(NotReadYetError):
            sent.wait_read(0)
        assert read(home, "hub") == [marker]
        assert home.owing() == [["phone"]]
        assert read(home, "phone") == [marker]
        outcome = sent.wait_read(PATIENCE)
        assert set(outcome.read_by) == {"hub", "phone"}
        device.refresh(PATIENCE)  # the gateway has taken in that the outcome was noted
    assert home.owing() == []
    for directory in ("gateway-data", "thermo-1", "hub", "phone"):
        files = [path for path in (home.directory / directory).rglob("*") if path.is_file()]
        assert not [path for path in files if marker in path.read_bytes()]


def test_everything_sent_in_a_row_is_read_in_that_order(home_on_each_broker: Home) -> None:
    payloads = [b"%d" % number for number in range(100)]
    with open_device(home_on_each_broker, "thermo-1") as device:
        sent = [device.send(payload, to=["hub"]) for payload in payloads]
        for one in sent:
            one.wait_held(PATIENCE)
        assert read(home_on_each_broker, "hub") == payloads
        for one in sent:
            one.wait_read(PATIENCE)
        assert {record.state for record in device.sent()} == {State.SETTLED}


def test_the_largest_payload_passes(home_on_each_broker: Home) -> None:
    payload = os.urandom(256 * 1024)
    with open_device(home_on_each_broker, "thermo-1") as device:
        device.send(payload, to=["hub"]).wait_held(PATIENCE)
    assert read(home_on_each_broker, "hub") == [payload]


def test_a_reader_that_waits_gets_messages_as_they_are_sent(home_on_each_broker: Home) -> None:
    home = home_on_each_broker
    found: list[bytes] = []

    def listen(device: Device) -> None:
        for message in device.inbox(timeout=PATIENCE):
            with message:
                found.append(message.payload)
            if len(found) == 3:
                return

    with open_device(home, "hub") as reader, open_device(home, "thermo-1") as sender:
        thread = threading.Thread(target=listen, args=(reader,))
        thread.start()
        for payload in (b"1", b"2", b"3"):
            sender.send(payload, to=["hub"]).wait_read(PATIENCE)
        thread.join()
    assert found == [b"1", b"2", b"3"]


def test_two_devices_talk_to_each_other_over_one_connection_each(
    home_on_each_broker: Home,
) -> None:
    home = home_on_each_broker
    with open_device(home, "hub") as hub, open_device(home, "phone") as phone:
        asked = hub.send({"what": "time"}, to=["phone"])
        with next(phone.inbox(timeout=PATIENCE)) as question:
            phone.send("noon", to=[question.sender])
        with next(hub.inbox(timeout=PATIENCE)) as answer:
            assert answer.text() == "noon"
        assert set(asked.wait_read(PATIENCE).read_by) == {"phone"}


def test_the_status_knows_gateway_and_waiting_messages(home_on_each_broker: Home) -> None:
    home = home_on_each_broker
    with open_device(home, "thermo-1") as device:
        device.send("a", to=["hub"]).wait_held(PATIENCE)
        assert device.status(PATIENCE).messages_held == 1
    with open_device(home, "hub") as device:
        status = device.status(PATIENCE)
    assert (status.copies_waiting, status.is_admitted, status.is_connected) == (1, True, True)
    assert status.gateway is not None
    assert (status.gateway.name, status.gateway.status) == ("gw-1", "online")


# ------------------------------ failures


def test_what_was_sent_without_a_gateway_is_held_once_it_is_back(
    home_on_each_broker: Home,
) -> None:
    home = home_on_each_broker
    home.send("so that the keys are known", "hub")
    home.stop()
    with open_device(home, "thermo-1") as device:
        sent = device.send("meanwhile", to=["hub"])
        with pytest.raises(NotHeldYetError):
            sent.wait_held(0.1)
        home.serve()
        sent.wait_held(PATIENCE)
    # In any order: a broker that begins anew may get the later copy first.
    assert set(read(home, "hub")) == {b"so that the keys are known", b"meanwhile"}


def test_what_is_held_survives_a_gateway_that_is_killed(home_on_each_broker: Home) -> None:
    home = home_on_each_broker
    with open_device(home, "thermo-1") as device:
        sent = device.send("a", to=["hub", "phone"])
        sent.wait_held(PATIENCE)
        assert read(home, "hub") == [b"a"]
        kill_gateway(home)
        home.serve()
        assert read(home, "phone") == [b"a"]
        assert set(sent.wait_read(PATIENCE).read_by) == {"hub", "phone"}


def test_what_send_has_returned_survives_a_sender_that_is_killed(home: Home) -> None:
    home.send("so that the keys are known", "hub")
    home.stop()
    run_and_kill(
        home,
        """
        import time
        from device_sdk import Device
        device = Device.open("thermo-1")
        device.send("from a killed process", to=["hub"])
        print("ready", flush=True)
        time.sleep(60)
        """,
    )
    home.serve()
    with open_device(home, "thermo-1") as device:
        device.find(device.sent()[0].message_id).wait_held(PATIENCE)
    assert read(home, "hub")[-1] == b"from a killed process"


def test_a_message_whose_handler_was_killed_comes_first(home: Home) -> None:
    home.send("1", "hub")
    run_and_kill(
        home,
        """
        import time
        from device_sdk import Device
        with Device.open("hub") as device:
            for message in device.inbox():
                with message:
                    print("ready", flush=True)
                    time.sleep(60)
        """,
    )
    home.send("2", "hub")
    assert read(home, "hub") == [b"1", b"2"]
    assert read(home, "hub") == []


HANDLE_AND_WAIT = """
    import sys, time
    from device_sdk import Device
    device = Device.open("hub")
    for message in device.inbox():
        with message:
            print("shown", flush=True)
            sys.stdin.readline()
        print("handled", flush=True)
        time.sleep(60)
"""


def test_a_message_whose_ack_was_stored_and_never_published_is_not_shown_twice(
    home: Home,
) -> None:
    home.send("1", "hub")
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HANDLE_AND_WAIT)],
        cwd=home.directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "shown\n"
            home.stop()  # and its broker with it: nothing can be published any more
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "handled\n"
        finally:
            process.send_signal(signal.SIGKILL)
    home.serve()
    assert home.owing() == [["hub"]]
    assert read(home, "hub") == []
    assert home.owing() == [[]]


@pytest.fixture
def mosquitto_home(
    made_home: Path, mosquitto: str, tmp_path: Path
) -> Iterator[tuple[Home, Mosquitto]]:
    """A gateway beside a broker that a test may kill."""
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        home = Home(made_home, tmp_path / "home", broker=broker.url)
        try:
            home.serve()
            home.trust()
            yield home, broker
        finally:
            home.stop()


@pytest.mark.parametrize("stays_open", [True, False])
def test_an_ack_that_the_broker_took_and_lost_is_given_again(
    mosquitto_home: tuple[Home, Mosquitto], stays_open: bool
) -> None:
    home, broker = mosquitto_home
    with open_device(home, "thermo-1") as sender:
        sent = sender.send("1", to=["hub"])
        sent.wait_held(PATIENCE)
        with contextlib.ExitStack() as later:
            with contextlib.ExitStack() as now:
                reader = (later if stays_open else now).enter_context(open_device(home, "hub"))
                kill_gateway(home)
                with next(reader.inbox(timeout=PATIENCE)) as message:
                    assert message.payload == b"1"
                reader.flush(PATIENCE)  # the broker has confirmed the ack
            broker.restart(kill=True)  # and forgets it
            assert home.owing() == [["hub"]]
            home.serve()
            if stays_open:
                assert list(reader.inbox(timeout=PATIENCE, until_empty=True)) == []
        assert read(home, "hub") == []
        assert set(sent.wait_read(PATIENCE).read_by) == {"hub"}


def test_a_ledger_restored_from_a_backup_ends_with_nothing_left_and_nothing_shown_twice(
    home: Home,
) -> None:
    ledger, backup = home.directory / "gateway-data", home.directory / "backup"
    with open_device(home, "thermo-1") as sender:
        sent = sender.send("1", to=["hub"])
        sent.wait_held(PATIENCE)
        home.stop()
        shutil.copytree(ledger, backup)
        home.serve()
        assert read(home, "hub") == [b"1"]
        sent.wait_read(PATIENCE)
        sender.refresh(PATIENCE)
        sender.refresh(PATIENCE)
        assert home.owing() == []
        home.stop()
        shutil.rmtree(ledger)
        backup.rename(ledger)
        home.serve()
        assert home.owing() == [["hub"]]
        assert read(home, "hub") == []
        sender.refresh(PATIENCE)  # by now the gateway has taken in what the sender noted again
        assert home.owing() == []


def test_a_full_outbox_is_one_line_that_says_what_to_do(home: Home) -> None:
    home.send("so that the keys are known", "hub")
    home.stop()
    with contextlib.closing(sqlite3.connect(home.directory / "thermo-1/state.sqlite")) as file:
        file.executemany(
            "INSERT INTO outgoing VALUES "
            "(?, x'', 'direct', 0, 1 << 40, 'waiting', '', 0, 0, '', x'', 0, 0)",
            ((number.to_bytes(16),) for number in range(10_000)),
        )
        file.commit()
    line = home.fails("device", "send", "--dir", "./thermo-1", "--to", "hub", "one too many")
    assert "the outbox is full: 10000 messages are not held yet, of 10000 that may be" in line


def test_what_others_get_in_between_is_not_missed(home: Home) -> None:
    for text, readers in (("1", ["hub"]), ("2", ["phone"]), ("3", ["phone", "hub"])):
        home.send(text, *readers)
    home.send("4", "hub", "phone")
    home.send("5", "hub")
    found = [(message["text"], message["sequence"]) for message in home.read("hub")]
    assert found == [("1", 1), ("3", 1), ("4", 2), ("5", 2)]
    home.send("6", "hub")
    (message,) = home.read("hub")
    assert (message["sequence"], message["missed"]) == (3, [])


def test_devices_and_gateway_outlive_their_broker(
    made_home: Path, mosquitto: str, tmp_path: Path
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        home = Home(made_home, tmp_path / "home", broker=broker.url)
        try:
            home.serve()
            home.trust()
            with open_device(home, "thermo-1") as device:
                first = device.send("before", to=["hub"])
                first.wait_held(PATIENCE)
                broker.restart(kill=True)
                second = device.send("after", to=["hub"])
                second.wait_held(PATIENCE)
                assert set(read(home, "hub")) == {b"before", b"after"}
                assert set(first.wait_read(PATIENCE).read_by) == {"hub"}
                assert set(second.wait_read(PATIENCE).read_by) == {"hub"}
        finally:
            home.stop()


@pytest.fixture
def tight_home(made_home: Path, mosquitto: str, tmp_path: Path) -> Iterator[Home]:
    """A broker that keeps next to nothing for slow readers, and cuts every replay short."""
    limits = "max_queued_messages 20\nmax_inflight_messages 10"
    with Mosquitto(tmp_path, program=mosquitto, extra=limits) as broker:
        home = Home(made_home, tmp_path / "home", broker=broker.url)
        try:
            home.serve()
            home.trust()
            yield home
        finally:
            home.stop()


def test_a_broker_that_replays_only_a_part_hides_nothing(tight_home: Home) -> None:
    payloads = [b"%d" % number for number in range(90)]
    with open_device(tight_home, "thermo-1") as device:
        for payload in payloads:
            device.send(payload, to=["hub"]).wait_held(PATIENCE)
    assert sorted(read(tight_home, "hub")) == sorted(payloads)
    assert not any(tight_home.owing())

"""A device that sends and shows readings: on a broker in memory, with a gateway played by hand."""

import hashlib
import hmac
import os
import shutil
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Event

import cbor2
import pytest

from device_sdk import (
    Device,
    KeyFileError,
    Message,
    NoReadingRuleError,
    NotPermittedError,
    OutboxFullError,
    OutboxLimits,
    OutOfRangeError,
    PassphraseError,
    PayloadError,
    ReadingRequiredError,
    UnknownChannelError,
    readings,
)
from device_sdk.channels import ChannelWish
from device_sdk.inbox.inbox import UNREADABLE_BURST
from device_sdk.key_file import load_secret, write_private_file
from device_sdk.keys.file_vault import FileVault
from device_sdk.keys.keystore import KeyStore
from device_sdk.proofs import pedersen, sealed_reading
from device_sdk.proofs.errors import ProofError
from device_sdk.seal import CommittedReading
from device_sdk.sending import Draft
from device_sdk.trust import Roster
from device_sdk.wire import cose
from device_sdk.wire.envelope import Envelope
from device_sdk.wire.header import Header
from device_sdk.wire.limits import READING_KEY_KEPT, READING_KEY_PERIOD
from device_sdk.wire.read_ack import MISMATCH, ReadAck
from device_sdk.wire.reading_policy import OBSERVE, Committed
from device_sdk.wire.roster_page import ChannelEntry
from tests.support.hub_fleet import HubFleet, await_roster, read
from tests.support.readings import CELLAR, ORDER, POLICY, rule
from tests.support.soft_token import run_with

ACKS = "sealgate/1/read/hub/thermo-1/+"
SENT = "sealgate/1/send/thermo-1/+"


@pytest.fixture
def cellar(hub_fleet: HubFleet) -> HubFleet:
    entry = ChannelEntry(readers=("hub",), senders=("thermo-1",), lifetime=3600, reading=rule())
    hub_fleet.desk.channels = {
        CELLAR: entry,
        "attic": replace(entry, reading=rule(OBSERVE)),
        "air": replace(entry, reading=None),
    }
    hub_fleet.desk.publish_roster()
    return hub_fleet


def send(fleet: HubFleet, *values: float | Decimal) -> list[str]:
    """Let thermo-1 send readings, and wait until each is held; return the ids."""
    with fleet.open("thermo-1") as device:
        sent = [device.send_reading(value, channel=CELLAR) for value in values]
        for one in sent:
            one.wait_held(10)
        return [one.message_id for one in sent]


def shown(fleet: HubFleet, name: str = "hub") -> list[Message]:
    """Let a reader handle all that waits for it."""
    with fleet.open(name) as device:
        messages = []
        for message in device.inbox(timeout=10, until_empty=True):
            with message:
                messages.append(message)
        return messages


def sealed(fleet: HubFleet) -> list[Envelope]:
    """Return what thermo-1 has published, each message once."""
    carried = {one.topic: one.payload for one in fleet.hub.wait_for(SENT)}
    return [Envelope.decode(payload) for payload in carried.values()]


def reading_keys(fleet: HubFleet) -> list[Path]:
    """Return the files of thermo-1's keys of readings."""
    return sorted((fleet.directory / "thermo-1").glob("reading-*.key"))


def commitment(envelope: Envelope) -> bytes:
    reading = envelope.body.header.reading
    assert reading is not None
    return reading.commitment


# ------------------------------ the whole way


def test_a_reading_is_shown_with_its_unit_and_policy(cellar: HubFleet) -> None:
    (message_id,) = send(cellar, 21.46)
    (message,) = shown(cellar)
    reading = message.reading
    assert reading is not None
    assert (message.message_id, message.channel) == (message_id, CELLAR)
    assert (message.payload, message.text(), message.json()) == (b"21.5", "21.5", 21.5)
    assert message.content_type == readings.CONTENT_TYPE
    assert (reading.value, reading.unit) == (Decimal("21.5"), "celsius")
    assert (reading.policy, reading.is_current) == (POLICY, True)
    assert "215" not in repr(reading)


def test_other_messages_have_no_reading(cellar: HubFleet) -> None:
    with cellar.open("thermo-1") as device:
        device.send("21.5", channel="air").wait_held(10)
        device.send("21.5", to=["hub"]).wait_held(10)
    assert [message.reading for message in shown(cellar)] == [None, None]


def test_what_is_published_carries_a_proof_for_this_message_that_a_gateway_verifies(
    cellar: HubFleet,
) -> None:
    send(cellar, 21.5, -40)
    fleet_id = cellar.desk.pin.fleet_id
    first, second = sealed(cellar)
    for envelope in (first, second):
        header = envelope.body.header
        digest = cellar.desk.digests[header.message_id][1]
        sealed_reading.verify(header, digest, fleet_id, envelope.proof)
        assert header.reading is not None
        assert header.reading.policy == POLICY
    digest = cellar.desk.digests[second.body.header.message_id][1]
    with pytest.raises(ProofError):
        sealed_reading.verify(second.body.header, digest, fleet_id, first.proof)


def test_a_message_that_is_published_again_has_the_same_proof(cellar: HubFleet) -> None:
    cellar.desk.is_silent = True
    with cellar.open("thermo-1") as device:
        device.send_reading(21.5, channel=CELLAR)
        cellar.hub.wait_for(SENT)
    with cellar.open("thermo-1"):
        first, again = cellar.hub.wait_for(SENT, 2)[:2]
    assert first.payload == again.payload


def test_a_reading_whose_handler_failed_is_shown_again_as_a_reading(cellar: HubFleet) -> None:
    send(cellar, 21.5)
    with cellar.open("hub") as device:
        assert read(device, fail=lambda payload: True) == [b"21.5"]
    (message,) = shown(cellar)
    assert message.reading is not None
    assert message.reading.value == Decimal("21.5")


# ------------------------------ errors


def test_what_cannot_be_sent_is_an_error_and_leaves_nothing(cellar: HubFleet) -> None:
    with cellar.open("thermo-1") as device:
        with pytest.raises(OutOfRangeError):
            device.send_reading(125.1, channel=CELLAR)
        with pytest.raises(PayloadError):
            device.send_reading(float("nan"), channel=CELLAR)
        with pytest.raises(PayloadError):
            device.send_reading(True, channel=CELLAR)
        with pytest.raises(PayloadError):
            device.send_reading("21.5", channel=CELLAR)  # type: ignore[arg-type]
        with pytest.raises(NoReadingRuleError):
            device.send_reading(21.5, channel="air", timeout=0)
        with pytest.raises(UnknownChannelError):
            device.send_reading(21.5, channel="unheard-of", timeout=0)
        with pytest.raises(ReadingRequiredError):
            device.send("21.5", channel=CELLAR)
        assert device.sent() == []
    with cellar.open("phone") as device:
        await_roster(device, cellar.desk.version)
        with pytest.raises(NotPermittedError):
            device.send_reading(21.5, channel=CELLAR, timeout=0)
    assert reading_keys(cellar) == []


def test_a_full_outbox_takes_no_reading(cellar: HubFleet) -> None:
    cellar.desk.is_silent = True
    directory, link = cellar.directory / "thermo-1", cellar.hub.link("thermo-1")
    with Device.open(directory, link=link, outbox_limits=OutboxLimits(messages=1)) as device:
        device.send_reading(21.5, channel=CELLAR)
        with pytest.raises(OutboxFullError):
            device.send_reading(21.5, channel=CELLAR)
        assert len(device.sent()) == 1


def test_an_observing_channel_takes_other_messages_and_no_reading_out_of_range(
    cellar: HubFleet,
) -> None:
    with cellar.open("thermo-1") as device:
        device.send("warm", channel="attic").wait_held(10)
        device.send_reading(21.5, channel="attic").wait_held(10)
        with pytest.raises(OutOfRangeError):
            device.send_reading(200, channel="attic")
    assert [message.text() for message in shown(cellar)] == ["warm", "21.5"]


def test_a_policy_that_changes_while_a_reading_is_proved_is_the_one_that_counts(
    cellar: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, newer = sealed_reading.prove, replace(POLICY, version=POLICY.version + 1, high=500)
    rounds = []
    with cellar.open("thermo-1") as device:

        def prove(header: Header, *given: bytes, steps: int, blinding: bytes) -> bytes:
            rounds.append(header.reading)
            if len(rounds) == 1:
                desk = cellar.desk
                desk.channels[CELLAR] = replace(desk.channels[CELLAR], reading=rule(policy=newer))
                desk.publish_roster()
                await_roster(device, desk.version)
            return honest(header, *given, steps=steps, blinding=blinding)

        monkeypatch.setattr(sealed_reading, "prove", prove)
        device.send_reading(21.5, channel=CELLAR).wait_held(10)
        assert len(device.sent()) == 1
    assert [one.policy for one in rounds if one is not None] == [POLICY, newer]
    assert len({one.commitment for one in rounds if one is not None}) == 2
    (message,) = shown(cellar)
    assert message.reading is not None
    assert message.reading.is_current


# ------------------------------ what does not match


def lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let devices seal another number than they commit to."""
    honest = readings.encode
    monkeypatch.setattr(readings, "encode", lambda steps, blinding: honest(steps + 1, blinding))


def test_a_reading_that_is_not_what_was_committed_to_is_not_shown_and_its_sender_hears_it(
    cellar: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        lie(patch)
        send(cellar, 21.5)
    send(cellar, 22)
    assert [message.text() for message in shown(cellar)] == ["22.0"]
    first, second = cellar.hub.wait_for(ACKS, 2)[:2]
    ack = cose.parse_signed(ReadAck, first.payload).claims
    assert (ack.verdict, ack.reason, ack.open_token) == ("unreadable", MISMATCH, b"")
    assert cose.parse_signed(ReadAck, second.payload).claims.verdict == "read"
    with cellar.open("thermo-1") as device:
        device.refresh()
        outcomes = [record.outcome.unreadable for record in device.sent()]
    assert outcomes == [{}, {"hub": "commitment-mismatch"}]


def test_a_sender_that_lies_much_is_answered_slowly_and_holds_nobody_up(
    cellar: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    lies = UNREADABLE_BURST + 4
    with monkeypatch.context() as patch:
        lie(patch)
        send(cellar, *[20] * lies)
    with cellar.open("phone") as device:
        device.send("honest", to=["hub"]).wait_held(10)
    with cellar.open("hub") as device:
        messages = device.inbox(timeout=0.1)
        with next(messages) as message:
            assert message.payload == b"honest"
        assert list(messages) == []
    answered = len(cellar.hub.wait_for(ACKS, UNREADABLE_BURST))
    assert answered < lies
    assert len(cellar.desk.owed("hub")) == lies - answered


# ------------------------------ blindings


def recomputed(fleet: HubFleet, header: Header) -> bytes:
    """Calculate a blinding from what is in the device's directory, as PROTOCOL 17.2 says."""
    path = fleet.directory / "thermo-1" / f"reading-{header.issued // 2_592_000}.key"
    secret = bytes.fromhex(path.read_text())
    made_of = cbor2.dumps([header.channel, header.sequence, header.message_id])
    number = int.from_bytes(hmac.new(secret, made_of, hashlib.sha512).digest(), "little")
    return (number % ORDER).to_bytes(32, "little")


def test_each_message_has_a_blinding_of_its_own_that_its_device_can_compute_again(
    cellar: HubFleet,
) -> None:
    send(cellar, 21.5, 21.5)
    send(cellar, 21.5)  # by another process
    found = sealed(cellar)
    assert len({commitment(envelope) for envelope in found}) == 3
    blindings = {recomputed(cellar, envelope.body.header) for envelope in found}
    assert len(blindings) == 3
    for envelope in found:
        assert pedersen.opens(commitment(envelope), 215, recomputed(cellar, envelope.body.header))


def test_a_device_that_was_put_back_from_a_backup_uses_no_blinding_twice(
    cellar: HubFleet, tmp_path: Path
) -> None:
    directory, backup = cellar.directory / "thermo-1", tmp_path / "backup"
    send(cellar, 20)
    shutil.copytree(directory, backup)
    send(cellar, 21)
    shutil.rmtree(directory)
    shutil.copytree(backup, directory)
    send(cellar, 22)
    first, second, third = (envelope.body.header for envelope in sealed(cellar))
    assert second.sequence == third.sequence != first.sequence  # it counts them again
    blindings = [recomputed(cellar, header) for header in (first, second, third)]
    assert len(set(blindings)) == 3
    for envelope, blinding, steps in zip(sealed(cellar), blindings, (200, 210, 220), strict=True):
        assert pedersen.opens(commitment(envelope), steps, blinding)


# ------------------------------ the key of readings


def test_the_key_of_readings_is_the_devices_alone_and_stays_as_it_is(
    cellar: HubFleet,
) -> None:
    with cellar.open("thermo-1") as device:
        device.send("21.5", channel="air").wait_held(10)
    assert reading_keys(cellar) == []  # before it is needed
    send(cellar, 21.5)
    (path,) = reading_keys(cellar)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    send(cellar, 21.5)
    assert path.read_text() == before
    secrets = {before.strip().encode(), bytes.fromhex(before)}
    assert not any(
        secret in carried.payload for carried in cellar.hub.carried for secret in secrets
    )


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[:-2],
    "longer": lambda data: data + b"00",
    "no hex": lambda data: b"x" * len(data),
    "no text": lambda data: b"\xff" * len(data),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_key_of_readings_is_an_error_and_never_replaced(
    cellar: HubFleet, name: str
) -> None:
    path = cellar.directory / "thermo-1" / f"reading-{this_period()}.key"
    write_private_file(path, DAMAGES[name](b"ab" * 32 + b"\n"))
    damaged = path.read_bytes()
    with cellar.open("thermo-1") as device:
        with pytest.raises(KeyFileError, match=r"reading-\d+\.key is damaged"):
            device.send_reading(21.5, channel=CELLAR)
        assert device.sent() == []
        device.send("21.5", channel="air").wait_held(10)
    assert path.read_bytes() == damaged


def test_a_key_of_readings_that_others_may_read_is_refused(cellar: HubFleet) -> None:
    send(cellar, 21.5)
    (path,) = reading_keys(cellar)
    path.chmod(0o640)
    with cellar.open("thermo-1") as device, pytest.raises(KeyFileError, match="chmod 600"):
        device.send_reading(21.5, channel=CELLAR)


def test_under_a_passphrase_the_key_of_readings_is_encrypted_like_the_others(
    tmp_path: Path,
) -> None:
    mac = FileVault(tmp_path, b"correct horse").reading_mac(686, b"data")
    (path,) = tmp_path.iterdir()
    assert path.name == "reading-686.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in path.read_bytes().splitlines()[0]
    secret = load_secret(path, b"correct horse", size=32)
    assert mac == hmac.digest(secret, b"data", "sha512")
    assert secret not in path.read_bytes()
    assert secret.hex().encode() not in path.read_bytes()
    for wrong in (None, b"battery staple"):
        with pytest.raises(PassphraseError):
            FileVault(tmp_path, wrong).reading_mac(686, b"data")


def this_period() -> int:
    return int(time.time()) // READING_KEY_PERIOD


def test_each_period_has_a_key_of_its_own_until_it_is_erased(tmp_path: Path) -> None:
    vault = FileVault(tmp_path, None)
    macs = {period: vault.reading_mac(period, b"data") for period in (7, 8, 9)}
    assert len(set(macs.values())) == 3
    again = FileVault(tmp_path, None)
    assert again.reading_periods() == {7, 8, 9}
    assert {period: again.reading_mac(period, b"data") for period in macs} == macs
    for one in (vault, again):
        one.erase_reading_key(9)
        one.erase_reading_key(6)  # which never was
        assert one.reading_periods() == {7, 8}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reading-7.key", "reading-8.key"]
    assert vault.reading_mac(9, b"data") != macs[9]  # another one: the first is gone for good
    assert vault.reading_mac(8, b"data") == macs[8]


def test_a_key_of_readings_is_erased_once_its_period_is_long_over(
    made_devices: Path, tmp_path: Path
) -> None:
    directory = shutil.copytree(made_devices / "thermo-1", tmp_path / "thermo-1")
    now = int(time.time())
    with KeyStore.open(directory, None) as store:
        store.reading_mac(b"data", issued=now)
        end = (this_period() + 1) * READING_KEY_PERIOD + READING_KEY_KEPT
        store.erase_expired(now=end)
        assert len(list(directory.glob("reading-*.key"))) == 1
        store.erase_expired(now=end + 1)
        assert list(directory.glob("reading-*.key")) == []


# ------------------------------ without the library


_WITHOUT = """
import sys
sys.modules["rbcl"] = None  # as if it were not installed

from dataclasses import replace
from pathlib import Path
from device_sdk import readings, posting
from device_sdk.proofs.errors import ProofsNotInstalledError
from device_sdk.seal import CommittedReading, new_message_id
from device_sdk.wire.reading_policy import OBSERVE, REQUIRE, Committed, ReadingPolicy, ReadingRule
from device_sdk.wire.roster_page import ChannelEntry
from tests.support.hub_fleet import HubFleet, read

POLICY = ReadingPolicy(version=7, unit="celsius", exponent=-1, mantissa=1, low=-400, high=1250)
fleet = HubFleet(Path(sys.argv[1]), Path(sys.argv[2]))
entry = ChannelEntry(readers=("hub",), senders=("thermo-1",), lifetime=3600)
for name, mode in (("cellar", REQUIRE), ("attic", OBSERVE)):
    rule = ReadingRule(mode=mode, policy=POLICY)
    fleet.desk.channels[name] = replace(entry, reading=rule)
fleet.desk.publish_roster()

def refuses(work):
    try:
        work()
    except ProofsNotInstalledError as error:
        assert "sealgate[proofs]" in str(error), error
        return True
    return False

with fleet.open("thermo-1") as device:
    assert refuses(lambda: device.send_reading(21.5, channel="cellar"))
    assert device.sent() == []
    honest = posting.seal
    committed = Committed(policy=POLICY, commitment=bytes(32))
    reading = CommittedReading(
        message_id=new_message_id(), committed=committed, prove=lambda header, digest: b"proof"
    )
    posting.seal = lambda data, **fields: honest(
        data, **{**fields, "content_type": readings.CONTENT_TYPE, "reading": reading}
    )
    device.send(b"a reading", channel="attic").wait_held(10)
    posting.seal = honest
    device.send(b"1", channel="attic").wait_held(10)
    device.send(b"2", to=["hub"]).wait_held(10)

with fleet.open("hub") as device:
    shown = read(device)  # ends, as nothing waits that it could show
    assert shown == [b"1", b"2"], shown
    device.flush()
    acks = fleet.hub.wait_for("sealgate/1/read/hub/thermo-1/+", 2)
    assert len(acks) == 2 and len(fleet.desk.owed("hub")) == 1
    assert read(device) == []
    device.send(b"3", to=["thermo-1"]).wait_held(10)
assert fleet.read("thermo-1") == [b"3"]
assert "device_sdk.proofs.group" not in sys.modules
print("all of it")
"""


def test_without_the_library_readings_stay_owed_and_everything_else_works(
    made_devices: Path, tmp_path: Path
) -> None:
    said = run_with(os.environ, _WITHOUT, str(made_devices), str(tmp_path / "devices"))
    assert said == "all of it\n"


def test_a_library_that_cannot_be_loaded_leaves_nothing_in_the_temporary_directory(
    tmp_path: Path,
) -> None:
    # Each try would leave 2.8 MB, where a temporary directory is mounted noexec.
    program = (
        "import ctypes\n"
        "def no(self, name): raise OSError('failed to map segment from shared object')\n"
        "ctypes.LibraryLoader.LoadLibrary = no\n"
        "for _ in range(3):\n"
        "    try: import device_sdk.proofs.sealed_reading\n"
        "    except Exception as error: assert 'libsodium' in str(error), error\n"
    )
    run_with({**os.environ, "TMPDIR": str(tmp_path)}, program)
    assert list(tmp_path.iterdir()) == []


# ------------------------------ a rule that the owner has made just now


def test_a_reading_waits_for_the_rule_that_its_device_has_not_heard_of_yet(
    cellar: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_none = Event()
    draft = ChannelWish.draft

    def noting(wish: ChannelWish, roster: Roster) -> Draft:
        try:
            return draft(wish, roster)
        except NoReadingRuleError:
            found_none.set()
            raise

    monkeypatch.setattr(ChannelWish, "draft", noting)
    with cellar.open("thermo-1") as device:
        await_roster(device, cellar.desk.version)
        air = cellar.desk.channels["air"]
        cellar.desk.channels = {**cellar.desk.channels, "air": replace(air, reading=rule())}
        with ThreadPoolExecutor(1) as other:
            sent = other.submit(device.send_reading, 21.5, channel="air")
            assert found_none.wait(10)
            cellar.desk.publish_roster()
            sent.result(10).wait_held(10)


# ------------------------------ what is said of a reading


def test_neither_a_message_nor_what_it_is_made_of_shows_a_reading_in_its_repr(
    cellar: HubFleet,
) -> None:
    send(cellar, Decimal("21.7"))
    (message,) = shown(cellar)
    assert message.reading is not None
    assert "21.7" not in repr(message) + repr(message.reading)
    made = CommittedReading(
        message_id=bytes(16),
        committed=Committed(policy=POLICY, commitment=bytes(32)),
        prove=partial(lambda *_: b"", 217),
    )
    assert "217" not in repr(made)


def test_a_key_of_readings_that_cannot_be_stored_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be written"):
        FileVault(tmp_path / "gone", None).reading_mac(1, b"")


def test_a_key_of_readings_for_a_time_that_never_came_is_erased(cellar: HubFleet) -> None:
    directory, now = cellar.directory / "thermo-1", int(time.time())
    with KeyStore.open(directory, None) as store:
        store.reading_mac(b"", issued=now + 20 * 365 * 86400)  # a clock that was far ahead
        store.reading_mac(b"", issued=now)
        store.erase_expired(now=now)
        assert len(list(directory.glob("reading-*.key"))) == 1

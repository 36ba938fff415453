"""Findings of a hostile review: the device's side. Each of these fails today."""
# mypy: ignore-errors

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import replace
from decimal import ROUND_UP, Decimal, Inexact, localcontext
from pathlib import Path

import pytest

from device_sdk import OutOfRangeError
from device_sdk.keystore import KeyStore
from device_sdk.proofs import pedersen
from device_sdk.readings import CONTENT_TYPE, encode, steps_of
from device_sdk.seal import CommittedReading, WrapTarget, new_message_id, seal
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import REQUIRE, Committed, ReadingPolicy, ReadingRule
from device_sdk.wire.roster_page import ChannelEntry
from tests.support.hub_fleet import HubFleet, await_roster, make_devices, read


@pytest.fixture(scope="session")
def made_devices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("devices")
    make_devices(directory)
    return directory


@pytest.fixture
def hub_fleet(made_devices: Path, tmp_path: Path) -> HubFleet:
    return HubFleet(made_devices, tmp_path / "devices")


POLICY = ReadingPolicy(version=1, unit="celsius", exponent=-1, mantissa=1, low=-400, high=1250)


def give_rule(fleet: HubFleet, mode: str = REQUIRE) -> None:
    rule = ReadingRule(mode=mode, policy=POLICY)
    fleet.desk.channels["cellar"] = ChannelEntry(
        readers=("hub",), senders=("thermo-1",), lifetime=DAY, reading=rule
    )
    fleet.desk.publish_roster()


def send_direct_reading(fleet: HubFleet, policy: ReadingPolicy, steps: int) -> None:
    """Any active device: a reading to ``direct``, by a policy that no owner has made, unproved."""

    blinding, now = pedersen.random_blinding(), int(time.time())
    with (
        KeyStore.open(fleet.directory / "thermo-1", None) as sender,
        KeyStore.open(fleet.directory / "hub", None) as reader,
    ):
        sealed = seal(
            encode(steps, blinding),
            recipients=[WrapTarget(reader="hub", key=reader.reader_keys[0].key.public)],
            sender="thermo-1",
            signer=sender.identity,
            aad=fleet.desk.pin.aad,
            content_type=CONTENT_TYPE,
            issued=now,
            expires=now + DAY,
            sequence=1,
            reading=CommittedReading(
                message_id=new_message_id(),
                committed=Committed(policy=policy, commitment=pedersen.commit(steps, blinding)),
                prove=lambda header, digest: b"",
            ),
        )
    fleet.desk._hold(sealed.envelope)


def test_a_policy_that_no_owner_made_is_not_shown_as_the_owners(hub_fleet: HubFleet) -> None:
    give_rule(hub_fleet)
    invented = replace(POLICY, version=7, unit="bar", low=0, high=4_000_000)
    send_direct_reading(hub_fleet, invented, 3_999_999)
    with hub_fleet.open("hub") as device:
        for message in device.inbox(timeout=5, until_empty=True):
            with message:
                # `Message.reading`: "The number that its sender proved to be in the channel's
                # range"; `Reading.policy`: "The owner's policy by which it was sealed".
                assert message.reading is None or message.reading.policy == POLICY


def test_a_device_without_the_library_can_still_read_its_other_mail(
    hub_fleet: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_direct_reading(hub_fleet, POLICY, 215)
    hub_fleet.send(b"alarm")
    for name in [one for one in sys.modules if one.startswith("device_sdk.proofs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(sys.modules["device_sdk"], "proofs")
    monkeypatch.setitem(sys.modules, "rbcl", None)  # type: ignore[arg-type]
    shown: list[bytes] = []
    for _ in range(3):  # three runs of `sealgate device read`, or of an application that restarts
        with hub_fleet.open("hub") as device, contextlib.suppress(SealgateError):
            shown += read(device)
    assert b"alarm" in shown  # it stays so until exp: 30 days for each such message


def test_a_message_does_not_show_its_reading_in_its_repr(hub_fleet: HubFleet) -> None:
    give_rule(hub_fleet)
    with hub_fleet.open("thermo-1") as device:
        await_roster(device, hub_fleet.desk.version)
        device.send_reading(Decimal("21.7"), channel="cellar").wait_held(10)
    with hub_fleet.open("hub") as device, next(device.inbox(timeout=10)) as message:
        assert "21.7" not in repr(message)


def test_a_number_beyond_what_decimals_can_do_is_out_of_range_and_no_foreign_error() -> None:
    with pytest.raises(OutOfRangeError):
        steps_of(Decimal("1e1000000"), POLICY, "cellar")


def test_rounding_goes_to_the_nearest_step_whatever_the_applications_context_is() -> None:
    with localcontext() as context:
        context.rounding = ROUND_UP
        assert steps_of(Decimal("21.51"), POLICY, "cellar") == 215


def test_an_applications_traps_do_not_reach_into_sealing() -> None:
    with localcontext() as context:
        context.traps[Inexact] = True
        assert steps_of(Decimal("21.5"), replace(POLICY, mantissa=3), "cellar") == 72


def test_a_value_is_shown_as_it_was_sealed_whatever_the_applications_context_is() -> None:
    with localcontext() as context:
        context.prec = 3
        assert POLICY.value_of(10_004) == Decimal("1000.4")


def test_what_proves_a_reading_does_not_show_it_in_its_repr() -> None:
    from functools import partial

    made = CommittedReading(
        message_id=bytes(16),
        committed=Committed(policy=POLICY, commitment=bytes(32)),
        prove=partial(lambda *_: b"", 215, b"\x42" * 32),
    )
    assert "215" not in repr(made)


def test_a_commitment_that_is_the_identity_opens_to_nothing() -> None:
    """PROTOCOL 20.1: whoever takes a point from outside refuses the identity, and no blinding is
    zero. Without a proof (observe, direct, no rule) only the reader could refuse it."""
    assert not pedersen.opens(bytes(32), 0, bytes(32))
    assert not pedersen.opens(pedersen.commit(5, bytes(32)), 5, bytes(32))


def test_a_reading_key_that_cannot_be_stored_is_an_error_of_ours(tmp_path: Path) -> None:
    """`Device.send_reading` names its errors; a disk that is full is none of them: an OSError."""
    from device_sdk.file_vault import FileVault
    from device_sdk.wire.errors import SealgateError

    with pytest.raises(SealgateError):
        FileVault(tmp_path / "gone", None).reading_mac(1, b"")


def test_a_reading_key_of_a_time_that_never_came_is_erased_with_the_others(
    hub_fleet: HubFleet,
) -> None:
    """A clock that is years ahead for an hour, and nothing signed says otherwise (offline)."""

    now = int(time.time())
    with KeyStore.open(hub_fleet.directory / "thermo-1", None) as store:
        store.reading_mac(b"", issued=now + 20 * 365 * DAY)
        store.erase_expired(now=now + 365 * DAY)
        assert list((hub_fleet.directory / "thermo-1").glob("reading-*.key")) == []


def test_a_library_that_cannot_be_loaded_leaves_nothing_in_the_temporary_directory(
    tmp_path: Path,
) -> None:
    """2.8 MB for every try (``noexec``): each pass over an inbox with a reading in it is one, and
    so is each start of a gateway, which does not start at all."""
    code = (
        "import ctypes\n"
        "def no(self, name): raise OSError('failed to map segment from shared object')\n"
        "ctypes.LibraryLoader.LoadLibrary = no\n"
        "for _ in range(3):\n"
        "    try: import device_sdk.proofs.sealed_reading\n"
        "    except Exception as error: assert 'libsodium' in str(error), error\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_a_gateway_of_a_fleet_without_readings_starts_without_the_library(tmp_path: Path) -> None:
    code = "import sys; sys.modules['rbcl'] = None; import gateway.service"
    subprocess.run([sys.executable, "-c", code], check=True)

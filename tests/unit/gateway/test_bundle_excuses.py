"""Excuses in the bundle: carried out when their message is there, refused without the owner."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from device_sdk.wire.excuse import excuse_file
from device_sdk.wire.limits import MAX_EXCUSES
from device_sdk.wire.roster_page import encode_bundle
from gateway.bundle import BundleWatch
from gateway.bundle_excuses import BundleExcuses
from gateway.hold import take_in
from gateway.lifecycle import SlotState
from gateway.parts import Parts
from gateway.store.records import MessageKey
from tests.support.envelopes import TOPICS, Fleet, SealedMessage
from tests.unit.gateway.edges import open_parts


@pytest.fixture
async def parts(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Parts]:
    (tmp_path / "data").mkdir()
    async with open_parts(fleet, tmp_path / "data") as parts:
        yield parts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "public" / "excuses"
    path.mkdir(parents=True)
    return path


def put(folder: Path, message: SealedMessage, data: bytes) -> Path:
    path = folder / excuse_file(message.sender, message.message_id)
    path.write_bytes(data)
    return path


async def hold(parts: Parts, message: SealedMessage) -> None:
    topic = TOPICS.parse(message.topic)
    await parts.keeper.write(lambda tx: take_in(tx, topic, message.data, parts.keeper.situation))


async def state_of(parts: Parts, message: SealedMessage, reader: str) -> SlotState:
    key = MessageKey(message.sender, message.message_id)
    slot = await parts.keeper.read(lambda tx: tx.slot(key, reader))
    assert slot is not None
    return slot.state


async def test_the_owners_excuse_is_carried_out(fleet: Fleet, parts: Parts, folder: Path) -> None:
    message = fleet.seal("thermo", ["hub", "phone"])
    await hold(parts, message)
    put(folder, message, fleet.excuse(message, "hub"))
    effects = await BundleExcuses(folder, parts.keeper).take()
    assert [ref.reader for ref in effects.clear] == ["hub"]
    assert await state_of(parts, message, "hub") is SlotState.EXCUSED
    assert await state_of(parts, message, "phone") is SlotState.OWED
    assert (await BundleExcuses(folder, parts.keeper).take()).clear == ()


async def test_an_excuse_waits_for_a_message_that_comes_later(
    fleet: Fleet, parts: Parts, folder: Path
) -> None:
    message = fleet.seal("thermo", ["hub"])
    (folder.parent / "root.pub").write_bytes(fleet.pin.to_pem())
    (folder.parent / "roster").write_bytes(encode_bundle(*fleet.signed_roster()))
    put(folder, message, fleet.excuse(message, "hub"))
    watch = BundleWatch(folder.parent, parts.keeper, excuse_again=0)
    assert (await watch.take()).effects.clear == ()
    await hold(parts, message)
    async for taken in watch.changes(0.001):
        if taken.effects.clear:
            break
    assert await state_of(parts, message, "hub") is SlotState.EXCUSED


async def test_an_excuse_that_the_owner_did_not_sign_is_logged_once_and_changes_nothing(
    fleet: Fleet, parts: Parts, folder: Path
) -> None:
    message = fleet.seal("thermo", ["hub"])
    await hold(parts, message)
    by_the_gateway = fleet.excuse(message, "hub", signer=fleet.members["gw-1"].identity)
    excuses = BundleExcuses(folder, parts.keeper)
    for data in (by_the_gateway, fleet.excuse(message, "hub")[:-1], b"", bytes(1_000_000)):
        path = put(folder, message, data)
        path.rename(path.with_suffix(".old")).rename(
            path
        )  # one inode each, whatever the clock says
        with capture_logs() as logs:
            assert (await excuses.take()).clear == ()
            assert (await excuses.take()).clear == ()
        assert [entry["event"] for entry in logs] == ["excuse_refused"]
    assert await state_of(parts, message, "hub") is SlotState.OWED
    put(folder, message, fleet.excuse(message, "hub"))
    assert (await excuses.take()).clear


async def test_a_new_roster_lets_a_refused_excuse_be_judged_again_in_silence(
    fleet: Fleet, parts: Parts, folder: Path
) -> None:
    message = fleet.seal("thermo", ["hub"])
    put(folder, message, b"nonsense")
    excuses = BundleExcuses(folder, parts.keeper)
    await excuses.take()
    assert not list(excuses._due())
    (folder.parent / "root.pub").write_bytes(fleet.pin.to_pem())
    (folder.parent / "roster").write_bytes(encode_bundle(*fleet.signed_roster()))
    await BundleWatch(folder.parent, parts.keeper).take()
    assert len(list(excuses._due())) == 1
    with capture_logs() as logs:
        await excuses.take()
    assert logs == []  # it was said before
    assert not list(excuses._due())


async def test_what_is_no_excuse_is_not_read_and_too_many_are_said(
    fleet: Fleet, parts: Parts, folder: Path
) -> None:
    message = fleet.seal("thermo", ["hub"])
    await hold(parts, message)
    for name in ("README", ".thermo-" + "0" * 32 + ".new", "thermo-" + "F" * 32, "-" + "0" * 32):
        (folder / name).write_bytes(fleet.excuse(message, "hub"))
    excuses = BundleExcuses(folder, parts.keeper)
    assert excuses.paths() == []
    for number in range(MAX_EXCUSES + 5):
        (folder / excuse_file("a", number.to_bytes(16))).write_bytes(b"")
    with capture_logs() as logs:
        assert len(excuses.paths()) == len(excuses.paths()) == MAX_EXCUSES
    assert [entry["event"] for entry in logs] == ["too_many_excuses"]

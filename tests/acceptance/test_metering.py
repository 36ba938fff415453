"""The metering example: its totals are right, and nobody got a single reading of it.

What operator and trustees hold is looked through as they would: whether any number that they have
ever seen opens a commitment, and whether a reading stands anywhere.
"""

import contextlib
import sqlite3
import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from device_sdk.device import Device
from device_sdk.proofs.group import RISTRETTO255
from device_sdk.proofs.pedersen import H
from device_sdk.totals.secrets import blinding_of, held_part
from gateway.store.records import Registered
from gateway.store.sqlite import LEDGER_FILE, look_into
from gateway.store.sqlite_reading import SqliteReading

EXAMPLE = Path(__file__).parents[2] / "examples" / "metering.py"
MOST = 5000
"""The range of a reading in steps."""


@pytest.fixture(scope="module")
def metering() -> ModuleType:
    spec = spec_from_file_location("metering", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["metering"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Opener:
    """Finds out which commitments some numbers open, by trying every reading that there can be."""

    def __init__(self) -> None:
        self._readings = {
            RISTRETTO255.multiply_base(RISTRETTO255.scalar(steps)): steps
            for steps in range(MOST + 1)
        }

    def opened(self, commitments: Iterable[bytes], numbers: Iterable[bytes]) -> list[int]:
        """Return every reading whose commitment opens with one of the numbers as its blinding."""
        hiding = [RISTRETTO255.multiply(n, H) for n in numbers if RISTRETTO255.is_scalar(n)]
        rests = (RISTRETTO255.subtract(c, hidden) for c in commitments for hidden in hiding)
        return [self._readings[rest] for rest in rests if rest in self._readings]


def registered(ledger: Path, start: int, until: int) -> list[Registered]:
    """Return what the operator has of all readings."""
    with look_into(ledger) as connection:
        tx = SqliteReading(connection)
        return [
            one
            for channel in ("load", "power")
            for one in tx.registered(channel, start, until, 500)
        ]


def numbers_in(file: Path, table: str) -> set[bytes]:
    """Return everything of 32 bytes that stands in a table of a database."""
    uri = f"{file.as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()
    return {value for row in rows for value in row if type(value) is bytes and len(value) == 32}


def shares_of(device: Device) -> set[bytes]:
    """Return all shares that a trustee holds, as only it can read them."""
    parts, numbers = device._parts, set()
    with device._courier.changed:
        keys = parts.totals._state.rows("SELECT sender, message_id FROM held_share")
        held = [parts.totals.share(*key) for key in keys]
    for one in held:
        assert one is not None
        part = held_part(parts.keystore.reading_mac, one)
        numbers |= {part.value, part.blinding}
    return numbers


def windows(data: bytes) -> set[bytes]:
    """Return what begins after any CBOR head of a byte string of 32 bytes."""
    return {
        data[at + 2 : at + 34] for at in range(len(data) - 33) if data[at : at + 2] == b"\x58\x20"
    }


def own_blindings(device: Device, start: int) -> dict[bytes, bytes]:
    """Return what opens a meter's own readings, which only it can calculate."""
    parts = device._parts
    mac = parts.keystore.reading_mac
    return {
        own.message_id: blinding_of(mac, own)
        for channel in ("load", "power")
        for own in parts.totals.own(channel, start, start + 10**6).values()
    }


@pytest.mark.timeout(420)
def test_totals_are_right_and_nobody_got_a_single_reading(
    metering: ModuleType, tmp_path: Path
) -> None:
    opener, directory = Opener(), tmp_path / "neighbourhood"
    with metering.Neighbourhood(directory) as grid:
        grid.make()
        grid.serve()
        grid.measure()
        ledger = directory / "gateway-data" / LEDGER_FILE
        known = registered(ledger, grid.start, grid.start + metering.EPOCH)
        commitments = [one.commitment for one in known]
        assert len(commitments) == len(metering.METERS) + metering.QUARTERS

        # The meter itself can open its readings: that is what the others are looked for.
        own = own_blindings(grid._devices[metering.BILLED], grid.start)
        assert sorted(opener.opened(commitments, own.values())) == sorted(grid.own)

        grid.collect()
        shares = {name: shares_of(grid._devices[name]) for name in metering.TRUSTEES}
        assert str(sum(grid.truth.values())) in grid.add_up()
        assert str(3 * sum(grid.own)) in grid.bill()
        told = told_to_operator(directory, metering)
        for name in metering.TRUSTEES:  # they are gone, now that they are added up
            assert not shares_of(grid._devices[name])
    assert opener.opened(commitments, told) == []
    for seen in shares.values():
        assert len(seen) == 2 * len(metering.METERS)
        # The operator together with all trustees but one, which is as many as there are but one.
        assert opener.opened(commitments, told | seen) == []


def told_to_operator(directory: Path, metering: ModuleType) -> set[bytes]:
    """Return every number that operator and gateway have been shown about the readings."""
    files = ["sum", "bill", "bill.answer"]
    files += [f"{name}.{what}" for name in metering.TRUSTEES for what in ("report", "answer")]
    told = {one for file in files for one in windows((directory / file).read_bytes())}
    ledger = directory / "gateway-data" / LEDGER_FILE
    for table in ("register", "messages", "slots", "bodies", "wraps"):
        told |= numbers_in(ledger, table)
    return told

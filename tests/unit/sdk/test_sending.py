"""What is checked before a message is sealed."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from device_sdk.content import BYTES, JSON, TEXT, encode
from device_sdk.errors import (
    ClockError,
    LifetimeError,
    NoReaderKeyError,
    NotAdmittedError,
    PayloadError,
    ReadersError,
    UnknownReaderError,
)
from device_sdk.identity import Identity
from device_sdk.keys.reader_keys import ReaderKeys
from device_sdk.seal import WrapTarget
from device_sdk.sending import LIFETIME, check_clock, choose_targets, draft
from device_sdk.state.state_file import StateFile
from device_sdk.trust import RosterExpiredError
from device_sdk.wire.key_statement import encode_key_list
from device_sdk.wire.limits import CLOCK_SKEW, DAY, MAX_PAYLOAD
from tests.support.fleet import NOW, Fleet

ME = "thermo-1"


@pytest.fixture
def keys(device_fleet: Fleet, tmp_path: Path) -> ReaderKeys:
    keys = ReaderKeys(StateFile(tmp_path / "state.sqlite"))
    for name in ("hub", "phone"):
        statements = encode_key_list([device_fleet.key_statement(name)])
        keys.take_list(name, statements, device_fleet.roster())
    return keys


def choose(
    fleet: Fleet,
    keys: ReaderKeys,
    *to: str,
    lifetime: timedelta = LIFETIME,
    expires: int = NOW + DAY,
    now: int = NOW,
) -> list[WrapTarget]:
    return choose_targets(
        draft(to, lifetime, now),
        sender=ME,
        sender_kid=fleet.identities[ME].kid,
        roster=fleet.roster(expires=expires),
        keys=keys,
    )


def test_readers_are_merged_and_sealed_to_with_their_newest_key(
    device_fleet: Fleet, keys: ReaderKeys
) -> None:
    targets = choose(device_fleet, keys, "phone", "hub", "phone")
    assert targets == [device_fleet.target("hub"), device_fleet.target("phone")]


def test_lifetime_is_a_second_to_thirty_days_and_seven_days_by_default() -> None:
    assert draft(["hub"], LIFETIME, NOW).expires == NOW + 7 * DAY
    assert draft(["hub"], timedelta(days=30), NOW).expires == NOW + 30 * DAY
    for lifetime in (timedelta(0), timedelta(seconds=-1), timedelta(days=30, seconds=1)):
        with pytest.raises(LifetimeError):
            draft(["hub"], lifetime, NOW)


def test_a_message_that_others_clocks_say_is_born_expired_is_refused() -> None:
    message = draft(["hub"], timedelta(seconds=60), NOW)
    check_clock(message, 0)
    check_clock(message, NOW + 60 + CLOCK_SKEW - 1)  # clocks differ
    with pytest.raises(ClockError, match="Set this device's clock"):
        check_clock(message, NOW + 60 + CLOCK_SKEW)


def test_an_empty_a_too_long_and_a_malformed_reader_list_are_refused() -> None:
    assert len(draft([f"d{n}" for n in range(1000)], LIFETIME, NOW).readers) == 1000
    for to in ([], [f"d{n}" for n in range(1001)], ["Hub"], ["a/b"], ["+"], [7], "hub", [None]):
        with pytest.raises(ReadersError):
            draft(to, LIFETIME, NOW)


def test_an_unknown_a_revoked_and_an_expired_reader_are_named(
    device_fleet: Fleet, keys: ReaderKeys
) -> None:
    device_fleet.revoke("phone")
    device_fleet.admit("gw-1", "gateway")
    for reader in ("nobody", "phone", "gw-1"):
        with pytest.raises(UnknownReaderError) as caught:
            choose(device_fleet, keys, "hub", reader)
        assert caught.value.reader == reader
    year = NOW + 365 * DAY
    device_fleet.devices[ME] = replace(device_fleet.devices[ME], not_after=year + DAY)
    with pytest.raises(UnknownReaderError):
        choose(device_fleet, keys, "hub", now=year, expires=year + DAY)


def test_a_reader_without_a_key_that_lasts_is_named(device_fleet: Fleet, keys: ReaderKeys) -> None:
    with pytest.raises(NoReaderKeyError) as caught:
        choose(device_fleet, keys, "hub", "stranger")
    assert caught.value.reader == "stranger"
    with pytest.raises(NoReaderKeyError) as caught:
        choose(device_fleet, keys, "hub", now=NOW + 85 * DAY, expires=NOW + 365 * DAY)
    assert caught.value.reader == "hub"


def test_an_expired_roster_seals_nothing(device_fleet: Fleet, keys: ReaderKeys) -> None:
    with pytest.raises(RosterExpiredError):
        choose(device_fleet, keys, "hub", expires=NOW)


def test_a_device_that_is_not_admitted_or_is_revoked_seals_nothing(
    device_fleet: Fleet, keys: ReaderKeys
) -> None:
    entry = device_fleet.devices.pop(ME)
    with pytest.raises(NotAdmittedError):
        choose(device_fleet, keys, "hub")
    device_fleet.devices[ME] = entry
    device_fleet.revoke(ME)
    with pytest.raises(NotAdmittedError, match="revoked"):
        choose(device_fleet, keys, "hub")


def test_a_device_whose_name_belongs_to_another_key_seals_nothing(
    device_fleet: Fleet, keys: ReaderKeys
) -> None:
    device_fleet.identities[ME] = Identity.generate()
    with pytest.raises(NotAdmittedError, match="another device"):
        choose(device_fleet, keys, "hub")


def test_content_goes_as_bytes_text_or_json() -> None:
    assert encode(b"\x00") == (b"\x00", BYTES)
    assert encode(bytearray(b"a")) == (b"a", BYTES)
    assert encode(b"") == (b"", BYTES)
    assert encode("21,5 °C") == ("21,5 °C".encode(), TEXT)
    assert encode({"t": 21.5, "u": "°C"}) == ('{"t":21.5,"u":"°C"}'.encode(), JSON)
    assert encode([1, None]) == (b"[1,null]", JSON)


@pytest.mark.parametrize(
    "payload",
    [7, None, object(), {"x": object()}, {"x": float("nan")}, "\ud800", b"x" * (MAX_PAYLOAD + 1)],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_sealed_is_refused_without_being_quoted(payload: object) -> None:
    with pytest.raises(PayloadError) as caught:
        encode(payload)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200
    assert caught.value.__cause__ is None


def test_the_largest_payload_is_allowed() -> None:
    assert len(encode(b"x" * MAX_PAYLOAD)[0]) == MAX_PAYLOAD

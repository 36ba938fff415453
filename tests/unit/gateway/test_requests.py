"""Join requests that a gateway keeps: shape alone is looked at, and strangers fill no disk."""

import stat
from pathlib import Path

import pytest

from device_sdk.identity import Identity
from device_sdk.wire import cose
from device_sdk.wire.join_offer import JoinOffer
from device_sdk.wire.join_request import JoinRequest
from gateway import requests
from gateway.requests import RequestResult, Requests
from tests.support.envelopes import NOW, Fleet


def offer(name: str, mac: int = 0) -> bytes:
    identity = Identity.generate()
    request = JoinRequest(name=name, identity_spki=identity.spki, time=NOW)
    signed = cose.sign(request, identity, cose.FLEETLESS_AAD)
    return JoinOffer(request=signed, mac=bytes([mac]) * 32).encode()


@pytest.fixture
def kept(tmp_path: Path) -> Requests:
    return Requests(tmp_path)


def files(directory: Path) -> list[str]:
    found = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return [str(path.relative_to(directory).parent) for path in found]


def test_a_request_is_kept_once(kept: Requests, fleet: Fleet, tmp_path: Path) -> None:
    one = offer("lamp")
    assert kept.take("lamp", one, fleet.roster()) is RequestResult.NEW
    assert kept.take("lamp", one, fleet.roster()) is RequestResult.KNOWN
    assert files(tmp_path) == ["requests/lamp"]
    (path,) = (tmp_path / "requests/lamp").iterdir()
    assert path.read_bytes() == one
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("payload", [b"", b"rubbish", offer("other"), bytes(100_000)])
def test_what_has_another_shape_or_name_is_not_kept(
    kept: Requests, tmp_path: Path, payload: bytes
) -> None:
    assert kept.take("lamp", payload, None) is RequestResult.MALFORMED
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["..", ".", ".hidden"])
def test_no_name_leads_out_of_the_directory(kept: Requests, tmp_path: Path, name: str) -> None:
    assert kept.take(name, offer(name), None) is RequestResult.MALFORMED
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_the_roster_lists_asks_for_nothing(
    kept: Requests, fleet: Fleet, tmp_path: Path
) -> None:
    assert kept.take("hub", offer("hub"), fleet.roster()) is RequestResult.LISTED
    assert files(tmp_path) == []


def test_few_requests_of_one_name_are_kept_and_of_few_names(
    kept: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MOST_NAMES", 2)
    results = [kept.take("lamp", offer("lamp", mac), None) for mac in range(6)]
    assert results == [RequestResult.NEW] * 4 + [RequestResult.FULL] * 2
    assert kept.take("a", offer("a"), None) is RequestResult.NEW
    assert kept.take("b", offer("b"), None) is RequestResult.FULL
    assert files(tmp_path) == ["requests/a", *["requests/lamp"] * 4]


def test_what_the_owner_has_decided_about_is_forgotten(
    kept: Requests, fleet: Fleet, tmp_path: Path
) -> None:
    kept.tidy(fleet.roster())
    for name in ("lamp", "stove"):
        kept.take(name, offer(name), None)
    fleet.admit("lamp")
    kept.tidy(fleet.roster())
    assert files(tmp_path) == ["requests/stove"]


def test_a_disk_that_takes_nothing_ends_nothing(kept: Requests, tmp_path: Path) -> None:
    (tmp_path / "requests").write_text("in the way")
    assert kept.take("lamp", offer("lamp"), None) is RequestResult.UNWRITABLE


def test_what_comes_to_nothing_is_said_once_a_minute_for_each_reason(tmp_path: Path) -> None:
    now = 0.0
    kept = Requests(tmp_path, tick=lambda: now)
    malformed, full = RequestResult.MALFORMED, RequestResult.FULL
    assert [kept.to_say(malformed) for _ in range(1000)] == [1] + [0] * 999
    assert kept.to_say(full) == 1
    now = requests.SAY_EVERY
    assert [kept.to_say(malformed) for _ in range(3)] == [1000, 0, 0]


def test_what_is_kept_is_said_at_once_and_what_was_known_never(kept: Requests) -> None:
    assert [kept.to_say(RequestResult.NEW) for _ in range(3)] == [1, 1, 1]
    assert kept.to_say(RequestResult.KNOWN) == 0

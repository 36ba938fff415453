"""Whom the owner's tools let in."""

import pytest

from device_sdk.identity import Identity
from device_sdk.wire.limits import DAY
from device_sdk.wire.roster_page import DeviceEntry
from gateway.owner.errors import NotAdmittedError
from gateway.owner.join import enlist, examine

from .conftest import NOW, MakeRequest


def test_a_device_that_shows_its_keys_is_a_candidate(device_request: MakeRequest) -> None:
    identity = Identity.generate()
    candidate = examine(device_request("hub", identity), role="device", now=NOW)
    assert (candidate.name, candidate.identity_spki) == ("hub", identity.spki)
    assert candidate.key_statement
    assert len(candidate.fingerprint) == 64


def test_every_changed_byte_of_a_request_is_noticed(gateway_request: MakeRequest) -> None:
    request = gateway_request("gw-1")
    for position in range(len(request)):
        changed = bytearray(request)
        changed[position] ^= 1
        with pytest.raises(NotAdmittedError):
            examine(bytes(changed), role="gateway", now=NOW)


def test_a_request_with_another_devices_reader_key_is_refused(device_request: MakeRequest) -> None:
    with pytest.raises(NotAdmittedError, match="another device"):
        examine(device_request("hub", stated_for="phone"), role="device", now=NOW)


def test_a_file_that_is_no_request_is_refused() -> None:
    with pytest.raises(NotAdmittedError, match="not a join request"):
        examine(b"-----BEGIN PUBLIC KEY-----", role="device", now=NOW)


def test_a_gateway_is_not_admitted_as_a_device(gateway_request: MakeRequest) -> None:
    with pytest.raises(NotAdmittedError, match="--role gateway"):
        examine(gateway_request("gw-1"), role="device", now=NOW)


def test_a_device_is_not_admitted_as_a_gateway(device_request: MakeRequest) -> None:
    with pytest.raises(NotAdmittedError, match="it is a device"):
        examine(device_request("hub"), role="gateway", now=NOW)


def test_a_request_with_an_expired_reader_key_is_refused(device_request: MakeRequest) -> None:
    request = device_request("hub", valid_from=NOW - 100 * DAY)
    with pytest.raises(NotAdmittedError, match="expired on 2027-01-05"):
        examine(request, role="device", now=NOW)


def test_a_request_from_a_clock_that_runs_ahead_says_so(device_request: MakeRequest) -> None:
    request = device_request("hub", valid_from=NOW + DAY)
    with pytest.raises(NotAdmittedError, match="clocks"):
        examine(request, role="device", now=NOW)


@pytest.mark.parametrize("name", ["operator", "..", ".hub"])
def test_names_that_mean_something_else_are_refused(device_request: MakeRequest, name: str) -> None:
    with pytest.raises(NotAdmittedError, match="choose another"):
        examine(device_request(name), role="device", now=NOW)


def test_the_owner_may_insist_on_the_fingerprint_read_off_the_device(
    device_request: MakeRequest,
) -> None:
    request = device_request("hub")
    fingerprint = examine(request, role="device", now=NOW).fingerprint
    examine(request, role="device", now=NOW, fingerprint=fingerprint.upper())
    digits = examine(request, role="device", now=NOW).digits
    examine(request, role="device", now=NOW, fingerprint=digits)
    examine(request, role="device", now=NOW, fingerprint=digits.replace(" ", ""))
    for wrong in ("0" * 64, digits[:-1], fingerprint[:16], " "):
        with pytest.raises(NotAdmittedError, match=f"{fingerprint}, in digits {digits}"):
            examine(request, role="device", now=NOW, fingerprint=wrong)


class TestTheList:
    """What an admission does to the devices that are there already."""

    def test_an_id_that_another_key_has_is_refused(self, device_request: MakeRequest) -> None:
        first = examine(device_request("hub"), role="device", now=NOW)
        second = examine(device_request("hub"), role="device", now=NOW)
        with pytest.raises(NotAdmittedError, match="taken by another key"):
            enlist(enlist({}, first, not_after=NOW), second, not_after=NOW)

    def test_a_key_that_has_another_id_is_refused(self, device_request: MakeRequest) -> None:
        identity = Identity.generate()
        first = examine(device_request("hub", identity), role="device", now=NOW)
        second = examine(device_request("phone", identity), role="device", now=NOW)
        with pytest.raises(NotAdmittedError, match="already admitted as hub"):
            enlist(enlist({}, first, not_after=NOW), second, not_after=NOW)

    def test_a_revoked_device_does_not_come_back(self, device_request: MakeRequest) -> None:
        candidate = examine(device_request("hub"), role="device", now=NOW)
        revoked = DeviceEntry(
            identities=(candidate.identity_spki,), roles=("device",), not_after=NOW, revoked_at=7
        )
        with pytest.raises(NotAdmittedError, match="revoked"):
            enlist({"hub": revoked}, candidate, not_after=NOW)

    def test_a_role_does_not_change(self, gateway_request: MakeRequest) -> None:
        candidate = examine(gateway_request("gw-1"), role="gateway", now=NOW)
        entry = DeviceEntry(identities=(candidate.identity_spki,), roles=("device",), not_after=NOW)
        with pytest.raises(NotAdmittedError, match="already admitted as device"):
            enlist({"gw-1": entry}, candidate, not_after=NOW)

    def test_admitting_again_never_shortens_a_membership(self, device_request: MakeRequest) -> None:
        candidate = examine(device_request("hub"), role="device", now=NOW)
        devices = enlist({}, candidate, not_after=NOW + DAY)
        assert enlist(devices, candidate, not_after=NOW) == devices

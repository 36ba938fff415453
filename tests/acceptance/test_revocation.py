"""A device is lost, and revoked: nobody waits for it, and it can do nothing more."""

import pytest

from device_sdk import Device, NotAdmittedError, RefusedError, State, UnknownReaderError
from tests.support.home import Home
from tests.support.hub_fleet import await_roster
from tests.support.owner import Owner

PATIENCE = 60.0


def test_a_message_does_not_wait_for_a_reader_that_is_revoked_meanwhile(
    home_on_each_broker: Home,
) -> None:
    home = home_on_each_broker
    with Device.open(home.directory / "thermo-1") as device:
        sent = device.send("21.5", to=["hub", "phone"])
        sent.wait_held(PATIENCE)
        Owner(home).revoke("phone")
        assert home.owing() == [["hub"]]  # its copies are gone
        assert [one["text"] for one in home.read("hub")] == ["21.5"]
        outcome = sent.wait_read(PATIENCE)
        assert (set(outcome.read_by), outcome.excused) == ({"hub"}, {"phone": "revoked"})
        assert outcome.evidence["phone"]
        with pytest.raises(UnknownReaderError):
            device.send("22.0", to=["phone"], timeout=0)
        device.refresh(PATIENCE)
    assert home.owing() == []
    assert home.ok("audit", "--data", "./gateway-data").out.startswith("nothing left")


def test_a_message_that_only_a_revoked_device_could_read_is_over_at_once(home: Home) -> None:
    with Device.open(home.directory / "thermo-1") as device:
        sent = device.send("21.5", to=["phone"])
        sent.wait_held(PATIENCE)
        Owner(home).revoke("phone")
        assert sent.wait_read(PATIENCE).excused == {"phone": "revoked"}
        device.refresh(PATIENCE)
    assert home.owing() == []


def test_a_revoked_device_is_refused_by_itself_and_by_the_gateway(
    home_on_each_broker: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_on_each_broker
    with Device.open(home.directory / "phone") as thief:
        thief.send("before", to=["hub"]).wait_held(PATIENCE)
        version = Owner(home).revoke("phone")
        await_roster(thief, version)
        with pytest.raises(NotAdmittedError, match="revoked"):
            thief.send("after", to=["hub"], timeout=0)
        # Software that was changed to look away still meets the gateway.
        monkeypatch.setattr("device_sdk.sending.check_sender", lambda *_: None)
        sent = thief.send("after", to=["hub"])
        with pytest.raises(RefusedError) as caught:
            sent.wait_held(PATIENCE)
        assert caught.value.reason == "sender-inactive"
        first = thief.sent()[-1]
        with pytest.raises(Exception, match="sender-revoked"):
            thief.find(first.message_id).wait_read(PATIENCE)
        assert thief.record(first.message_id).state is State.EXPIRED
    assert home.read("hub") == []

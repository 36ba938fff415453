"""Who speaks for the gateway, and whether it is there."""

import pytest

from device_sdk.gateways import STATE_VALIDITY, Gateways
from device_sdk.identity import Identity
from device_sdk.trust import UnknownDeviceError
from device_sdk.wire import cose
from device_sdk.wire.errors import SignatureError, WireError
from device_sdk.wire.limits import DAY
from device_sdk.wire.notice import Notice
from device_sdk.wire.state import OFFLINE, ONLINE, State
from tests.support.fleet import NOW, Fleet

TICK = 100.0


@pytest.fixture
def gateways(device_fleet: Fleet) -> Gateways:
    device_fleet.admit("gw-1", "gateway")
    gateways = Gateways(device_fleet.aad)
    gateways.use(device_fleet.roster())
    return gateways


def notice(fleet: Fleet, signer: Identity, device: str = "thermo-1") -> bytes:
    record = Notice(
        device=device, ledger_id=bytes(16), counter=1, time=NOW, roster_version=1, events=()
    )
    return cose.sign(record, signer, fleet.aad)


def state(
    fleet: Fleet,
    *,
    status: str = ONLINE,
    time: int = NOW,
    instance: int = 1,
    gateway: str = "gw-1",
    signer: str = "gw-1",
) -> bytes:
    record = State(
        gateway=gateway,
        ledger_id=bytes(16),
        instance=bytes([instance]) * 16,
        status=status,
        time=time,
        roster_version=1,
        software="test",
        max_payload=1,
        max_readers=1,
        max_lifetime=1,
    )
    return cose.sign(record, fleet.identities[signer], fleet.aad)


def test_a_notice_by_the_rosters_gateway_is_believed(
    gateways: Gateways, device_fleet: Fleet
) -> None:
    data = notice(device_fleet, device_fleet.identities["gw-1"])
    notice_, gateway = gateways.verify_notice(data, "thermo-1", NOW)
    assert (notice_.counter, gateway) == (1, "gw-1")


@pytest.mark.parametrize("liar", ["hub", "thermo-1"])
def test_a_notice_by_a_device_is_not_believed(
    gateways: Gateways, device_fleet: Fleet, liar: str
) -> None:
    with pytest.raises(UnknownDeviceError):
        gateways.verify_notice(notice(device_fleet, device_fleet.identities[liar]), "thermo-1", NOW)


def test_a_notice_by_a_stranger_is_not_believed(gateways: Gateways, device_fleet: Fleet) -> None:
    with pytest.raises(UnknownDeviceError):
        gateways.verify_notice(notice(device_fleet, Identity.generate()), "thermo-1", NOW)


def test_a_notice_by_a_revoked_or_expired_gateway_is_not_believed(
    gateways: Gateways, device_fleet: Fleet
) -> None:
    data = notice(device_fleet, device_fleet.identities["gw-1"])
    with pytest.raises(UnknownDeviceError):
        gateways.verify_notice(data, "thermo-1", NOW + 365 * DAY)
    device_fleet.revoke("gw-1")
    gateways.use(device_fleet.roster())
    with pytest.raises(UnknownDeviceError):
        gateways.verify_notice(data, "thermo-1", NOW)


def test_another_devices_notice_is_not_believed(gateways: Gateways, device_fleet: Fleet) -> None:
    data = notice(device_fleet, device_fleet.identities["gw-1"], device="hub")
    with pytest.raises(SignatureError):
        gateways.verify_notice(data, "thermo-1", NOW)


def test_a_notice_with_a_byte_changed_is_not_believed(
    gateways: Gateways, device_fleet: Fleet
) -> None:
    data = bytearray(notice(device_fleet, device_fleet.identities["gw-1"]))
    data[-1] ^= 1
    with pytest.raises(WireError):
        gateways.verify_notice(bytes(data), "thermo-1", NOW)


def test_nobody_is_believed_before_there_is_a_roster(device_fleet: Fleet) -> None:
    device_fleet.admit("gw-1", "gateway")
    data = notice(device_fleet, device_fleet.identities["gw-1"])
    with pytest.raises(UnknownDeviceError):
        Gateways(device_fleet.aad).verify_notice(data, "thermo-1", NOW)


def test_a_gateway_is_online_until_its_state_grows_old(
    gateways: Gateways, device_fleet: Fleet
) -> None:
    gateways.take_state("gw-1", state(device_fleet), NOW, TICK)
    assert gateways.online(NOW + 89, TICK + STATE_VALIDITY)
    assert gateways.online(NOW + 91, TICK + STATE_VALIDITY + 1) is None
    assert gateways.latest()


def test_an_old_state_that_a_broker_still_retains_shows_nobody_online(
    gateways: Gateways, device_fleet: Fleet
) -> None:
    gateways.take_state("gw-1", state(device_fleet, time=NOW - DAY), NOW, TICK)
    assert gateways.online(NOW, TICK) is None


def test_a_last_will_counts_though_it_was_signed_long_before(
    gateways: Gateways, device_fleet: Fleet
) -> None:
    gateways.take_state("gw-1", state(device_fleet), NOW, TICK)
    will = state(device_fleet, status=OFFLINE, time=NOW - DAY)
    gateways.take_state("gw-1", will, NOW, TICK)
    assert gateways.online(NOW, TICK) is None
    # What was signed before the will arrived is not news.
    gateways.take_state("gw-1", state(device_fleet, time=NOW - 1), NOW, TICK)
    assert gateways.online(NOW, TICK) is None


def test_another_instances_old_will_changes_nothing(
    gateways: Gateways, device_fleet: Fleet
) -> None:
    gateways.take_state("gw-1", state(device_fleet), NOW, TICK)
    will = state(device_fleet, status=OFFLINE, time=NOW - DAY, instance=2)
    gateways.take_state("gw-1", will, NOW, TICK)
    assert gateways.online(NOW, TICK)


def test_a_gateway_is_back_when_it_comes_online_or_is_another_instance(
    gateways: Gateways, device_fleet: Fleet
) -> None:
    def heard(**fields: int | str) -> bool:
        data = state(device_fleet, **fields)  # type: ignore[arg-type]
        return gateways.take_state("gw-1", data, NOW, TICK)

    assert heard()
    assert not heard(time=NOW + 30)
    assert heard(time=NOW + 40, instance=2)
    assert not heard(time=NOW + 50, instance=2, status=OFFLINE)
    assert heard(time=NOW + 60, instance=2)


def test_one_gateway_cannot_speak_for_another(gateways: Gateways, device_fleet: Fleet) -> None:
    device_fleet.admit("gw-2", "gateway")
    gateways.use(device_fleet.roster())
    with pytest.raises(SignatureError):
        gateways.take_state("gw-1", state(device_fleet, signer="gw-2"), NOW, TICK)
    with pytest.raises(SignatureError):
        gateways.take_state("gw-2", state(device_fleet), NOW, TICK)

"""The difference between two rosters, as it is shown before one is signed."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from device_sdk.identity import Identity
from device_sdk.wire.limits import DAY
from device_sdk.wire.roster_page import ChannelEntry, DeviceEntry
from device_sdk.wire.suites import fingerprint
from gateway.owner.difference import difference
from gateway.owner.signing import Members

from .conftest import NOW

KEYS = [Identity.generate().spki for _ in range(2)]
SHORT = [fingerprint(key)[:16] for key in KEYS]
ENTRY = DeviceEntry(identities=(KEYS[0],), roles=("device",), not_after=NOW)
AIR = ChannelEntry(readers=("hub", "phone"), senders=("thermo-1",), lifetime=7 * DAY)
NOBODY = Members(devices={}, channels={})


def lines(before: Members, after: Members) -> list[str]:
    return [str(one) for one in difference(before, after)]


def test_whoever_comes_or_goes_is_named_with_its_key() -> None:
    some = Members(devices={"hub": ENTRY, "lost": replace(ENTRY, revoked_at=7)}, channels={})
    assert lines(NOBODY, some) == [
        f"+ device hub, key {SHORT[0]}",
        f"+ device lost, key {SHORT[0]}, revoked",
    ]
    assert lines(some, NOBODY)[0] == f"- device hub, key {SHORT[0]}"


def test_every_field_of_a_device_is_compared() -> None:
    def changed(**fields: object) -> list[str]:
        new = replace(ENTRY, **fields)  # type: ignore[arg-type]
        one, other = (Members(devices={"hub": e}, channels={}) for e in (ENTRY, new))
        return lines(one, other)

    assert changed(revoked_at=7) == ["~ device hub, revoked"]
    assert changed(roles=("gateway",)) == ["~ gateway hub, was device"]
    assert changed(identities=(*KEYS,)) == [f"~ device hub, key +{SHORT[1]}"]
    assert changed(identities=(KEYS[1],)) == [f"~ device hub, key +{SHORT[1]}, key -{SHORT[0]}"]
    assert changed(not_after=NOW + DAY) == [
        "~ device hub, member until 2027-01-16 instead of 2027-01-15"
    ]


def test_a_revocation_that_is_taken_back_is_said() -> None:
    lost = Members(devices={"hub": replace(ENTRY, revoked_at=7)}, channels={})
    found = Members(devices={"hub": ENTRY}, channels={})
    assert lines(lost, found) == ["~ device hub, no longer revoked"]


def test_a_channels_readers_senders_and_lifetime_are_compared() -> None:
    new = ChannelEntry(readers=("hub", "lamp"), senders=("thermo-1", "x"), lifetime=90)
    one, other = (Members(devices={}, channels={"air": entry}) for entry in (AIR, new))
    assert lines(one, other) == [
        "~ channel air, readers +lamp -phone, senders +x, lifetime 90s",
    ]
    assert lines(NOBODY, one) == [
        "+ channel air, readers +hub +phone, senders +thermo-1, lifetime 7d",
    ]
    assert lines(one, NOBODY) == ["- channel air"]


_devices = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.builds(
        DeviceEntry,
        identities=st.sampled_from([(KEYS[0],), (KEYS[1],), (*KEYS,), (KEYS[1], KEYS[0])]),
        roles=st.sampled_from([("device",), ("gateway",), ("device", "gateway")]),
        not_after=st.sampled_from([NOW, NOW + DAY]),
        revoked_at=st.sampled_from([0, 7, 8]),
    ),
)
_channels = st.dictionaries(
    st.sampled_from(["a", "b"]),
    st.builds(
        ChannelEntry,
        readers=st.sampled_from([("a",), ("a", "b")]),
        senders=st.sampled_from([("a",), ("b",)]),
        lifetime=st.sampled_from([60, DAY]),
    ),
)
_members = st.builds(Members, devices=_devices, channels=_channels)


@given(_members, _members)
def test_whatever_differs_is_said_and_nothing_else(one: Members, other: Members) -> None:
    found = difference(one, other)
    named = {(entry.kind == "channel", entry.name) for entry in found}
    differing = {
        (is_channel, name)
        for is_channel, a, b in (
            (False, one.devices, other.devices),
            (True, one.channels, other.channels),
        )
        for name in {*a, *b}
        if a.get(name) != b.get(name)
    }
    assert named == differing
    assert all(entry.details for entry in found if entry.what == "changed")
    assert len(found) == len(named)

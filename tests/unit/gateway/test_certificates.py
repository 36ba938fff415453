"""Which certificates a gateway publishes, and which it lets stand."""

from pathlib import Path

import pytest

from device_sdk.wire.certificates import encode_certificates, to_pem
from device_sdk.wire.limits import MAX_LIFETIME
from device_sdk.wire.roster_page import encode_bundle
from gateway.bundle import BundleWatch
from gateway.certificates import judge, payload, read_certificates
from gateway.situation import Situation
from tests.support.certificates import as_pem, authority_of, chain_for, other_chain, unreadable
from tests.support.envelopes import NOW, Fleet
from tests.unit.gateway.edges import open_parts

DAY = 24 * 3600
UNREADABLE = unreadable()


def issued(fleet: Fleet, name: str, now: int = NOW) -> list[bytes]:
    authority = authority_of(fleet.root, now=NOW)
    return chain_for(authority, name, fleet.members[name].identity.spki, now=now)


def give(bundle: Path, name: str, chain: list[bytes]) -> None:
    (bundle / "certs").mkdir(exist_ok=True)
    (bundle / "certs" / name).write_bytes(to_pem(chain))


def situation(fleet: Fleet, bundle: Path | None) -> Situation:
    roster = fleet.roster()
    certificates = None if bundle is None else read_certificates(bundle, roster, {}, NOW)
    return Situation(pin=fleet.pin, roster=roster, now=NOW, certificates=certificates)


def test_what_verifies_for_an_active_member_is_published(fleet: Fleet, tmp_path: Path) -> None:
    chain = issued(fleet, "hub")
    give(tmp_path, "hub", chain)
    give(tmp_path, "phone", issued(fleet, "hub"))  # another's
    now = situation(fleet, tmp_path)
    assert payload(now, "hub") == encode_certificates(chain)
    assert payload(now, "phone") == b""
    assert judge(now, "hub", encode_certificates(chain)) == (False, 0)


def test_a_forged_one_in_the_bundle_is_passed_over(fleet: Fleet, tmp_path: Path) -> None:
    give(tmp_path, "hub", list(other_chain("hub", fleet.members["hub"].identity.spki, now=NOW)))
    assert payload(situation(fleet, tmp_path), "hub") == b""


@pytest.mark.parametrize("content", [b"", b"rubbish", bytes(100_000)])
def test_rubbish_in_the_bundle_is_passed_over(fleet: Fleet, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs/hub").write_bytes(content)
    assert situation(fleet, tmp_path).certificates == {}


@pytest.mark.parametrize("der", UNREADABLE.values(), ids=UNREADABLE)
def test_what_the_parser_refuses_is_passed_over_and_gives_way(
    fleet: Fleet, tmp_path: Path, der: bytes
) -> None:
    give(tmp_path, "hub", issued(fleet, "hub"))
    (tmp_path / "certs/phone").write_bytes(as_pem(der) * 2)
    now = situation(fleet, tmp_path)
    assert list(now.certificates or {}) == ["hub"]
    assert judge(now, "hub", encode_certificates([der, der])) == (True, 0)


def test_a_revoked_members_certificate_is_cleared(fleet: Fleet, tmp_path: Path) -> None:
    chain = issued(fleet, "hub")
    give(tmp_path, "hub", chain)
    fleet.revoke("hub")
    now = situation(fleet, tmp_path)
    assert payload(now, "hub") == b""
    assert judge(now, "hub", encode_certificates(chain)) == (True, 0)


def test_an_unlisted_names_certificate_waits_for_a_newer_roster(
    fleet: Fleet, tmp_path: Path
) -> None:
    stands = encode_certificates(issued(fleet, "hub"))
    now = situation(fleet, tmp_path)
    assert judge(now, "lamp", stands) == (False, NOW + MAX_LIFETIME)
    assert judge(now, "lamp", b"rubbish") == (True, 0)


def test_a_later_one_stays_and_anything_else_gives_way(fleet: Fleet, tmp_path: Path) -> None:
    give(tmp_path, "hub", issued(fleet, "hub"))
    now = situation(fleet, tmp_path)
    later, earlier = (encode_certificates(issued(fleet, "hub", at)) for at in (NOW + 9, NOW - 9))
    assert judge(now, "hub", later) == (False, 0)
    assert judge(now, "hub", earlier) == (True, 0)
    assert judge(now, "hub", b"rubbish") == (True, 0)
    # Half a bundle: it has none for phone.
    assert judge(now, "phone", encode_certificates(issued(fleet, "phone"))) == (False, 0)
    assert judge(now, "phone", b"rubbish") == (True, 0)


def test_without_a_bundle_everything_stays(fleet: Fleet) -> None:
    fleet.revoke("hub")
    now = situation(fleet, None)
    for name in ("hub", "phone", "lamp"):
        assert judge(now, name, b"rubbish") == (False, 0)


async def test_what_changes_in_the_bundle_is_published_again(fleet: Fleet, tmp_path: Path) -> None:
    bundle = tmp_path / "public"
    bundle.mkdir()
    (tmp_path / "data").mkdir()
    (bundle / "root.pub").write_bytes(fleet.pin.to_pem())
    async with open_parts(fleet, tmp_path / "data") as parts:
        (bundle / "roster").write_bytes(encode_bundle(*fleet.signed_roster()))
        watch = BundleWatch(bundle, parts.keeper)
        assert (await watch.take()).effects.certificates == ()
        assert parts.keeper.situation.certificates == {}
        give(bundle, "hub", issued(fleet, "hub"))
        assert (await watch.take()).effects.certificates == ("hub",)
        assert (await watch.take()).effects.certificates == ()
        give(bundle, "hub", issued(fleet, "hub", NOW + 5))
        assert (await watch.take()).effects.certificates == ("hub",)
        (bundle / "certs/hub").unlink()
        assert (await watch.take()).effects.certificates == ("hub",)

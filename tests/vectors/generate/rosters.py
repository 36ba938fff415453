"""Vectors of rosters and of the root that signs them."""

from typing import Any

from device_sdk.wire import cbor, cose
from device_sdk.wire.owner_grant import OwnerGrant, OwnerRequest
from device_sdk.wire.roster_head import RootSuccession
from device_sdk.wire.roster_page import RosterPage, encode_bundle
from tests.vectors.generate import fleet
from tests.vectors.generate.fixed import FixedSigner, spki
from tests.vectors.generate.fleet import (
    AAD,
    NOW,
    OTHER_AAD,
    OWNER,
    P256,
    PIN,
    RSA2048,
    RSA4096,
    VERSION,
    bundle,
    pages,
    succession,
)
from tests.vectors.generate.headers import POLICY, WIDEST
from tests.vectors.generate.records import accepted, plain, refused
from tests.vectors.generate.tamper import at, changed_record, flip, set_key
from tests.vectors.generate.vector import Vector, bad, good


def roster_page_vectors() -> list[Vector]:
    """PROTOCOL 8.3."""
    [page] = pages(1)
    fields = cbor.decode(page, "page", limit=1 << 20)
    hub = fields[1]["hub"]
    hubs: dict[str, dict[int, Any]] = {
        "no-identity": {1: []},
        "roles-not-sorted": {2: ["gateway", "device"]},
        "a-role-twice": {2: ["device", "device"]},
        "no-role": {2: []},
        "role-unknown": {2: ["owner"]},
        "revoked-at-version-0": {4: 0},
        "entry-with-an-unknown-field": {5: 0},
    }
    kitchen = fields[2]["kitchen"]
    required = {1: "require", 2: POLICY.to_cbor()}
    observed = {1: "observe", 2: POLICY.to_cbor()}
    bills: dict[int, Any] = {1: 86_400, 2: 10, 3: []}
    kitchens: dict[str, dict[int, Any]] = {
        "readers-not-sorted": {1: ["phone", "hub"]},
        "a-sender-twice": {2: ["hub", "hub"]},
        "reading-rule-without-a-policy": {4: {1: "require"}},
        "reading-rule-in-another-mode": {4: {1: "off", 2: POLICY.to_cbor()}},
        "reading-rule-with-an-unknown-field": {4: {1: "require", 2: POLICY.to_cbor(), 3: 0}},
        "channel-with-an-unknown-field": {9: 0},
        "totals-without-a-reading-rule": {6: bills},
        "totals-where-readings-are-only-observed": {4: observed, 6: bills},
        "totals-with-one-trustee": {4: required, 6: {**bills, 3: ["hub"]}},
        "totals-with-an-unknown-field": {4: required, 6: {**bills, 4: 0}},
    }
    values = {
        **{name: {1: {"hub": {**hub, **c}}, 2: {}} for name, c in hubs.items()},
        **{name: {1: {}, 2: {"kitchen": {**kitchen, **c}}} for name, c in kitchens.items()},
        "device-in-upper-case": {1: {"HUB": hub}, 2: {}},
        "channel-named-direct": {1: {}, 2: {"direct": kitchen}},
        "names-in-alphabetical-order": {1: {"bb": hub, "c": hub}, 2: {}},
        "without-channels": {1: {}},
        "not-a-map": [],
    }
    too_large: dict[str, Any] = {
        "nine-identities": {1: {"hub": {**hub, 1: [spki(P256)] * 9}}, 2: {}},
        "lifetime-of-31-days": {1: {}, 2: {"kitchen": {**kitchen, 3: 31 * fleet.DAY}}},
    }
    bad_key = {1: {"hub": {**hub, 1: [spki("testECCP384")]}}, 2: {}}
    demanding = {"kitchen": {**kitchen, 4: {1: "require", 2: POLICY.to_cbor()}}}
    observing = {"kitchen": {**kitchen, 4: {1: "observe", 2: WIDEST.to_cbor()}}}
    billed = {**kitchen, 4: required, 6: bills}
    summed = {**kitchen, 4: required, 6: {1: 900, 2: 1000, 3: ["hub", "phone"]}}
    rules = {
        "channel-that-requires-readings": cbor.encode({1: {}, 2: demanding}),
        "channel-that-observes-readings": cbor.encode({1: {}, 2: observing}),
        "channel-for-bills": cbor.encode({1: {}, 2: {"kitchen": billed}}),
        "channel-for-sums": cbor.encode({1: {}, 2: {"kitchen": summed}}),
    }
    parts = {f"page-{index}-of-3": part for index, part in enumerate(pages(3))}
    goods = {
        "all-names": page,
        **parts,
        **rules,
        "empty": RosterPage(devices={}, channels={}).encode(),
    }
    return [
        *(
            good(name, {"page": data.hex()}, plain(RosterPage.decode(data)))
            for name, data in goods.items()
        ),
        *(
            bad(name, {"page": cbor.encode(value).hex()}, error)
            for error, group in (("malformed", values), ("too-large", too_large))
            for name, value in group.items()
        ),
        bad("identity-of-a-kind-not-allowed", {"page": cbor.encode(bad_key).hex()}, "key-format"),
    ]


def roster_vectors() -> list[Vector]:
    """PROTOCOL 8.3 and 8.4: from a bundle and a pinned root to a roster, or to no roster."""
    one, three = pages(1), pages(3)
    stolen = FixedSigner(RSA2048)
    to_4096 = succession(P256, RSA4096)
    chain = (to_4096, succession(RSA4096, RSA2048))
    head = cose.sign(fleet.head(one), fleet.ROOT, AAD)
    known = bundle(one)
    rotated = bundle(one, FixedSigner(RSA4096), successions=(to_4096,))
    newer: dict[str, Any] = {"version": VERSION + 1}
    ann = fleet.grant(P256, RSA2048)
    anns: dict[str, Any] = {"successions": (succession(RSA2048, RSA4096, grant=ann),)}
    goods = {
        "one-page": (bundle(one), b""),
        "three-pages": (bundle(three), b""),
        "the-same-again": (known, known),
        "a-newer-one": (bundle(one, **newer), known),
        "after-one-succession": (rotated, b""),
        "after-two-successions": (bundle(one, stolen, successions=chain), b""),
        "a-newer-one-after-a-succession": (
            bundle(one, stolen, successions=chain, **newer),
            rotated,
        ),
        "by-the-root-beside-a-granted-owner": (bundle(one, grants=(ann,)), b""),
        "by-a-granted-owner": (bundle(one, stolen, grants=(ann,)), b""),
        "by-the-root-without-the-grants-that-were-known": (
            bundle(one, **newer),
            bundle(one, stolen, grants=(ann,)),
        ),
        "after-a-succession-by-a-granted-owner": (bundle(one, FixedSigner(RSA4096), **anns), b""),
        "by-an-owner-whom-the-next-root-granted": (
            bundle(one, stolen, successions=(to_4096,), grants=(fleet.grant(RSA4096, RSA2048),)),
            b"",
        ),
        "one-second-before-its-expiry": (bundle(one, expires=NOW + 1), b""),
    }
    foreign = succession(P256, RSA4096, fleet_id=bytes(16))
    bads = {
        "signed-by-another-key": (bundle(one, stolen), b"", "signature"),
        "signed-by-an-impostor": (
            bundle(one, FixedSigner(RSA2048, claimed_alg=-7, claimed_kid=fleet.ROOT.kid)),
            b"",
            "signature",
        ),
        "signed-for-another-fleet": (bundle(one, aad=OTHER_AAD), b"", "signature"),
        "naming-another-fleet": (bundle(one, fleet_id=bytes(16)), b"", "signature"),
        "signature-changed": (
            encode_bundle(changed_record(head, at(3, do=flip)), one),
            b"",
            "signature",
        ),
        "older-than-known": (known, bundle(one, **newer), "rollback"),
        "another-one-with-the-known-version": (bundle(three), known, "fork"),
        "expired": (bundle(one, expires=NOW), b"", "roster-expired"),
        "page-missing": (encode_bundle(head, three), b"", "untrusted"),
        "page-changed": (
            encode_bundle(head, [one[0].replace(b"kitchen", b"kitchem")]),
            b"",
            "untrusted",
        ),
        "names-on-the-wrong-page": (bundle(three[::-1]), b"", "untrusted"),
        "no-pages": (bundle([]), b"", "malformed"),
        "succession-missing": (bundle(one, FixedSigner(RSA4096)), b"", "signature"),
        "successions-in-the-wrong-order": (
            bundle(one, stolen, successions=chain[::-1]),
            b"",
            "signature",
        ),
        "succession-of-another-fleet": (
            bundle(one, FixedSigner(RSA4096), successions=(foreign,)),
            b"",
            "signature",
        ),
        "signed-by-the-root-that-was-replaced": (bundle(one, **newer), rotated, "rollback"),
        "replaced-by-a-root-that-was-replaced": (
            bundle(one, stolen, successions=(succession(P256, RSA2048),), **newer),
            rotated,
            "rollback",
        ),
        "grant-of-a-root-that-was-replaced": (
            bundle(one, stolen, successions=(to_4096,), grants=(ann,)),
            b"",
            "signature",
        ),
        "void-grant-in-a-head-by-the-root": (
            bundle(one, FixedSigner(RSA4096), successions=(to_4096,), grants=(ann,)),
            b"",
            "signature",
        ),
        "grant-by-a-granted-owner": (
            bundle(one, FixedSigner(RSA4096), grants=(ann, fleet.grant(RSA2048, RSA4096))),
            b"",
            "signature",
        ),
        "grant-of-another-fleet": (
            bundle(one, stolen, grants=(fleet.grant(P256, RSA2048, fleet_id=bytes(16)),)),
            b"",
            "signature",
        ),
        "granted-owner-without-its-grant": (
            bundle(one, stolen, **newer),
            bundle(one, stolen, grants=(ann,)),
            "signature",
        ),
        "succession-by-a-granted-owner-without-its-grant": (
            bundle(one, FixedSigner(RSA4096), successions=(succession(RSA2048, RSA4096),)),
            b"",
            "signature",
        ),
        "succession-by-another-key-than-its-grant-names": (
            bundle(one, stolen, successions=(succession(RSA4096, RSA2048, grant=ann),)),
            b"",
            "signature",
        ),
        "grant-that-was-ended-by-a-rotation": (
            bundle(one, stolen, grants=(ann,), **newer),
            rotated,
            "rollback",
        ),
        "nine-grants": (bundle(one, grants=(ann,) * 9), b"", "too-large"),
        "not-a-bundle": (head, b"", "malformed"),
    }

    def given(data: bytes, before: bytes) -> dict[str, Any]:
        return {"bundle": data.hex(), **({"known": before.hex()} if before else {})}

    return [
        *(
            good(name, given(data, before), _roster_outcome(data))
            for name, (data, before) in goods.items()
        ),
        *(bad(name, given(data, before), error) for name, (data, before, error) in bads.items()),
    ]


def _roster_outcome(data: bytes) -> dict[str, Any]:
    head, _ = cbor.decode(data, "bundle", limit=1 << 20)
    protected, _, payload, _ = cbor.decode(head[1:], "head", limit=1 << 20)
    return {
        "version": cbor.decode(payload, "head", limit=1 << 20)[2],
        "signed_by": cbor.decode(protected, "head", limit=1 << 20)[4].hex(),
        "devices": sorted(fleet.IDENTITIES),
        "channels": sorted(fleet.CHANNELS),
    }


def succession_vectors() -> list[Vector]:
    """PROTOCOL 8.4."""
    record = RootSuccession(fleet_id=PIN.fleet_id, next_root_spki=spki(RSA4096), time=NOW)
    vectors = refused(
        record,
        OWNER,
        cases={
            "fleet-id-of-15-bytes": set_key(1, PIN.fleet_id[:15]),
            "root-of-a-kind-not-allowed": set_key(2, spki("testECCP384")),
            "grant-empty": set_key(4, b""),
        },
    )
    for vector in vectors:
        if vector["name"] == "root-of-a-kind-not-allowed":
            vector["error"] = "key-format"
    by_grant = RootSuccession(
        fleet_id=PIN.fleet_id,
        next_root_spki=spki(RSA4096),
        time=NOW,
        grant=fleet.grant(P256, RSA2048),
    )
    return [
        accepted("to-a-4096-bit-key", record, OWNER),
        accepted("with-a-grant", by_grant, OWNER),
        *vectors,
    ]


def owner_grant_vectors() -> list[Vector]:
    """PROTOCOL 8.4."""
    record = OwnerGrant(fleet_id=PIN.fleet_id, owner_spki=spki(RSA4096), time=NOW)
    cases = {
        "fleet-id-of-15-bytes": set_key(1, PIN.fleet_id[:15]),
        "owner-of-a-kind-not-allowed": set_key(2, spki("testECCP384")),
    }
    vectors = refused(record, OWNER, cases=cases)
    for vector in vectors:
        if vector["name"] == "owner-of-a-kind-not-allowed":
            vector["error"] = "key-format"
    return [accepted("of-a-4096-bit-key", record, OWNER), *vectors]


def owner_request_vectors() -> list[Vector]:
    """PROTOCOL 8.4."""
    record = OwnerRequest(name="ann", owner_spki=spki(P256), time=NOW)
    cases = {
        "name-in-upper-case": set_key(1, "Ann"),
        "owner-of-a-kind-not-allowed": set_key(2, spki("testECCP384")),
    }
    vectors = refused(record, OWNER, cases=cases, aad=cose.FLEETLESS_AAD)
    for vector in vectors:
        if vector["name"] == "owner-of-a-kind-not-allowed":
            vector["error"] = "key-format"
    return [accepted("by-its-own-key", record, OWNER, cose.FLEETLESS_AAD), *vectors]

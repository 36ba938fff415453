"""The fleet that all signed vectors belong to. Its few published keys have to be shared around."""

from typing import Any

from device_sdk.trust import Pin
from device_sdk.wire import cose
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.owner_grant import OwnerGrant
from device_sdk.wire.roster_head import RootSuccession, RosterHead
from device_sdk.wire.roster_page import (
    ChannelEntry,
    DeviceEntry,
    RosterPage,
    encode_bundle,
    page_hash,
    page_index,
)
from tests.vectors.generate.fixed import FixedSigner, spki

NOW = 1_800_000_000
DAY = 24 * 3600

P256, RSA2048, RSA4096 = "testECCP256", "testRSA2048", "testRSA4096"
ROOT = FixedSigner(P256)
PIN = Pin.from_spki(ROOT.public.spki)
AAD = PIN.aad
OTHER_AAD = Pin.from_spki(spki(RSA4096)).aad

IDENTITIES = {
    "gw-1": P256,
    "hub": P256,
    "lamp": P256,
    "lost": RSA2048,
    "meter-1": RSA2048,
    "phone": RSA4096,
    "thermo-1": P256,
}
READER_KEYS = {"hub": RSA2048, "lamp": RSA2048, "phone": RSA4096}
VERSION = NOW
"""Of the roster: at least the Unix seconds of its making."""


OWNER = "owner"
"""Stands for the owner where a signer is named; the roster lists no such device."""


def signer(name: str) -> FixedSigner:
    """Return the identity of a device or gateway, or the owner's root."""
    return ROOT if name == OWNER else FixedSigner(IDENTITIES[name])


def _entry(name: str) -> DeviceEntry:
    return DeviceEntry(
        identities=(spki(IDENTITIES[name]),),
        roles=("gateway",) if name == "gw-1" else ("device",),
        not_after=NOW + 365 * DAY,
        revoked_at=VERSION if name == "lost" else 0,
    )


CHANNELS = {
    "kitchen": ChannelEntry(readers=("hub", "phone"), senders=("thermo-1",), lifetime=7 * DAY)
}


def pages(count: int) -> list[bytes]:
    """Return the roster's pages, each name on its own."""
    names = [[name for name in IDENTITIES if page_index(name, count) == i] for i in range(count)]
    return [
        RosterPage(
            devices={name: _entry(name) for name in page},
            channels={c: e for c, e in CHANNELS.items() if page_index(c, count) == index},
        ).encode()
        for index, page in enumerate(names)
    ]


def head(page_bytes: list[bytes], **changes: Any) -> RosterHead:
    """Return the roster's head, with fields changed."""
    fields: dict[str, Any] = {
        "fleet_id": PIN.fleet_id,
        "version": VERSION,
        "issued": NOW,
        "expires": NOW + 365 * DAY,
        "page_hashes": tuple(map(page_hash, page_bytes)),
    }
    return RosterHead(**{**fields, **changes})


def bundle(
    page_bytes: list[bytes], by: FixedSigner = ROOT, aad: bytes = AAD, **changes: Any
) -> bytes:
    """Return a roster file."""
    return encode_bundle(cose.sign(head(page_bytes, **changes), by, aad), page_bytes)


def succession(old: str, new: str, **changes: Any) -> bytes:
    """Return the old root's signed word that another key is the root now."""
    fields: dict[str, Any] = {
        "fleet_id": PIN.fleet_id,
        "next_root_spki": spki(new),
        "time": NOW,
    }
    return cose.sign(RootSuccession(**{**fields, **changes}), FixedSigner(old), AAD)


def grant(root: str, owner: str, **changes: Any) -> bytes:
    """Return a root's signed word that another key signs for the owner as well."""
    fields: dict[str, Any] = {"fleet_id": PIN.fleet_id, "owner_spki": spki(owner), "time": NOW}
    return cose.sign(OwnerGrant(**{**fields, **changes}), FixedSigner(root), AAD)


def key_statement(name: str, **changes: Any) -> KeyStatement:
    """Return a device's reader-key statement, unsigned."""
    fields: dict[str, Any] = {
        "device": name,
        "spki": spki(READER_KEYS[name]),
        "not_before": NOW,
        "not_after": NOW + 90 * DAY,
        "serial": NOW,
    }
    return KeyStatement(**{**fields, **changes})


def fleet_file() -> dict[str, Any]:
    """Return what every signed vector needs to know."""
    return {
        "about": (
            "One fleet for all vectors. root, identities and reader_keys name keys in keys.json; "
            "the RFC has so few that they are shared, which a real fleet must never do. roster is "
            "a bundle (PROTOCOL 8.3). now is the time at which vectors are checked."
        ),
        "now": NOW,
        "root": P256,
        "fleet_id": PIN.fleet_id.hex(),
        "aad": AAD.hex(),
        "identities": IDENTITIES,
        "reader_keys": READER_KEYS,
        "roster": bundle(pages(1)).hex(),
    }

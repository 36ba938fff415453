"""Vectors of joining a fleet, of a device's list of reader keys, and of logging in."""

import base64
from typing import Any

from device_sdk.wire import cose
from device_sdk.wire.join_request import JoinRequest
from device_sdk.wire.key_statement import encode_key_list
from device_sdk.wire.login import Login, make_token
from tests.vectors.generate import fleet
from tests.vectors.generate.fixed import FixedSigner, fixed_bytes, spki
from tests.vectors.generate.fleet import (
    AAD,
    NOW,
    OTHER_AAD,
    P256,
    PIN,
    RSA2048,
    RSA4096,
    signer,
)
from tests.vectors.generate.records import plain, statement_of
from tests.vectors.generate.tamper import at, changed_record, flip, put, set_key, signed_anew
from tests.vectors.generate.vector import Vector, bad, good


def device_request(key: str = P256) -> bytes:
    """Return a signed join request of hub."""
    record = JoinRequest(name="hub", identity_spki=spki(key), time=NOW)
    return cose.sign(record, FixedSigner(key), cose.FLEETLESS_AAD)


def join_request_vectors() -> list[Vector]:
    """PROTOCOL 8.2."""

    def request(name: str, key: str, statement: bytes = b"") -> JoinRequest:
        return JoinRequest(name=name, identity_spki=spki(key), time=NOW, key_statement=statement)

    def signed(record: JoinRequest, by: FixedSigner, aad: bytes = cose.FLEETLESS_AAD) -> str:
        return cose.sign(record, by, aad).hex()

    hub = request("hub", P256, statement_of("hub"))
    who = FixedSigner(P256)
    data = cose.sign(hub, who, cose.FLEETLESS_AAD)
    other_device = request("hub", P256, statement_of("lamp"))
    by_other = request("hub", P256, statement_of("phone"))
    changed_statement = request("hub", P256, changed_record(statement_of("hub"), at(3, do=flip)))
    malformed = {
        "statement-of-another-device": signed(other_device, who),
        "statement-that-is-none": signed(request("hub", P256, b"\xd2\x80"), who),
        "statement-empty": signed_anew(
            data, who, cose.FLEETLESS_AAD, payload=set_key(4, b"")
        ).hex(),
        "name-in-upper-case": signed(request("Hub", P256), who),
        "without-identity": signed_anew(
            data, who, cose.FLEETLESS_AAD, payload=lambda c: {k: c[k] for k in (1, 3)}
        ).hex(),
        "unknown-field": signed_anew(data, who, cose.FLEETLESS_AAD, payload=set_key(5, 0)).hex(),
        "trailing-byte": data.hex() + "00",
        "a-key-statement-instead": statement_of("hub").hex(),
    }
    signature = {
        "signed-by-another-key-than-it-names": signed(hub, FixedSigner(RSA2048)),
        "signed-by-an-impostor": signed(
            hub, FixedSigner(RSA2048, claimed_alg=-7, claimed_kid=who.kid)
        ),
        "signed-with-a-fleets-aad": signed(hub, who, AAD),
        "statement-signed-by-another-device": signed(by_other, who),
        "statement-with-a-bad-signature": signed(changed_statement, who),
        "signature-changed": changed_record(data, at(3, do=flip)).hex(),
    }
    bad_key = signed_anew(
        data, who, cose.FLEETLESS_AAD, payload=set_key(2, spki("testRSA1024"))
    ).hex()
    return [
        good(
            "device",
            {"data": data.hex()},
            {"claims": plain(hub), "serial": NOW, "reader_kid": FixedSigner(RSA2048).kid.hex()},
        ),
        good(
            "gateway-without-a-reader-key",
            {"data": signed(request("gw-1", RSA2048), FixedSigner(RSA2048))},
            {"claims": plain(request("gw-1", RSA2048))},
        ),
        *(bad(name, {"data": text}, "malformed") for name, text in malformed.items()),
        *(bad(name, {"data": text}, "signature") for name, text in signature.items()),
        bad("identity-of-1024-bits", {"data": bad_key}, "key-format"),
    ]


def key_list_vectors() -> list[Vector]:
    """PROTOCOL 8.1: what stands under keys/hub."""
    first, second = statement_of("hub"), statement_of("hub", serial=NOW + 1)
    other_device = cose.sign(fleet.key_statement("lamp"), signer("hub"), cose.FLEETLESS_AAD)
    changed = changed_record(first, at(3, do=flip))

    def given(*statements: bytes) -> dict[str, Any]:
        return {"device": "hub", "list": encode_key_list(statements).hex()}

    # What does not verify is passed over: it does not make the other keys worse.
    goods = {
        "no-keys": (given(), []),
        "one-key": (given(first), [NOW]),
        "two-keys": (given(first, second), [NOW, NOW + 1]),
        "beside-another-devices-key": (given(first, other_device), [NOW]),
        "beside-a-key-of-another-identity": (given(statement_of("phone"), second), [NOW + 1]),
        "beside-a-changed-signature": (given(changed, second), [NOW + 1]),
        "beside-a-statement-that-is-none": (given(b"\xd2\x80", first), [NOW]),
    }
    return [
        *(good(name, value, {"serials": serials}) for name, (value, serials) in goods.items()),
        bad("65-keys", given(*[b"\xd2\x80"] * 65), "too-large"),
        bad("text-for-a-statement", {"device": "hub", "list": "816161"}, "malformed"),
        bad("not-an-array", {"device": "hub", "list": "a0"}, "malformed"),
    ]


def login_vectors() -> list[Vector]:
    """PROTOCOL 12."""
    who = signer("hub")

    def token(by: FixedSigner = who, aad: bytes = AAD, **changes: Any) -> str:
        fields: dict[str, Any] = {
            "name": "hub",
            "audience": PIN.fingerprint,
            "expires": NOW + 300,
            "issued": NOW,
        }
        return encoded(cose.sign(Login(**{**fields, **changes}), by, aad))

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    text = token()
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert text == make_token("hub", audience=PIN.fingerprint, now=NOW, signer=who, aad=AAD)
    early, late = NOW - 300, NOW + 600
    goods = {
        "now": (text, "hub", NOW),
        "as-early-as-clocks-may-differ": (text, "hub", early),
        "as-late-as-clocks-may-differ": (text, "hub", late),
        "by-a-ps256-identity": (token(signer("phone"), name="phone"), "phone", NOW),
        "by-a-gateway": (token(signer("gw-1"), name="gw-1"), "gw-1", NOW),
    }
    signature = {
        "too-early": (text, "hub", early - 1),
        "too-late": (text, "hub", late + 1),
        "for-six-minutes": (token(expires=NOW + 301), "hub", NOW),
        "for-another-audience": (token(audience="0" * 64), "hub", NOW),
        "for-another-fleet": (token(aad=OTHER_AAD), "hub", NOW),
        "by-another-key": (token(FixedSigner(RSA4096, -7, who.kid)), "hub", NOW),
        "signature-changed": (encoded(changed_record(raw, at(3, do=flip))), "hub", NOW),
    }
    malformed = {
        "nothing": "",
        "not-base64": "hub's password",
        "standard-base64": base64.b64encode(raw).decode(),
        "with-padding": text + "=",
        "with-a-line-break": text[:40] + "\n" + text[40:],
        "a-read-ack-instead": encoded(cose.sign(fleet.key_statement("hub"), signer("hub"), AAD)),
        "name-in-upper-case": token(name="HUB"),
        "audience-beyond-ascii": token(audience="\u00e9"),
        "trailing-byte": encoded(raw + b"\0"),
        "detached": encoded(changed_record(raw, at(2, do=put(b"")))),
    }
    unknown = {
        "kid-of-another-device": token(FixedSigner(RSA4096, -37, fixed_bytes("no kid", 16))),
    }
    return [
        *(
            good(name, {"token": t, "user": user, "now": now}, {"name": user})
            for name, (t, user, now) in goods.items()
        ),
        *(
            bad(name, {"token": t, "user": user, "now": now}, "signature")
            for name, (t, user, now) in signature.items()
        ),
        *(
            bad(name, {"token": t, "user": "hub", "now": NOW}, "malformed")
            for name, t in malformed.items()
        ),
        *(
            bad(name, {"token": t, "user": "hub", "now": NOW}, "unknown-device")
            for name, t in unknown.items()
        ),
        bad("anothers-token", {"token": text, "user": "lamp", "now": NOW}, "signature"),
    ]

"""Vectors of tickets, and of the offers that are made with their codes."""

import base64
from typing import Any

from device_sdk.wire import cbor
from device_sdk.wire.join_offer import JoinOffer
from device_sdk.wire.ticket import Ticket
from tests.vectors.generate.certificates import authority_and
from tests.vectors.generate.fixed import KEYS, fixed_bytes, spki
from tests.vectors.generate.fleet import DAY, NOW, P256, PIN, RSA2048
from tests.vectors.generate.joining import device_request
from tests.vectors.generate.records import plain
from tests.vectors.generate.vector import Vector, bad, good

CODE = fixed_bytes("code of a ticket", 32)


def _ticket(**changes: Any) -> Ticket:
    certificate, authority = authority_and("join", P256)
    fields: dict[str, Any] = {
        "device": "hub",
        "broker": "mqtts://broker.example",
        "prefix": "sealgate/1",
        "root": PIN.root.spki,
        "ca": authority,
        "code": CODE,
        "expires": NOW + 7 * DAY,
        "certificate": certificate,
        "key": bytes.fromhex(KEYS[P256]["pkcs8"]),
        "successions": (),
    }
    return Ticket(**{**fields, **changes})


def ticket_vectors() -> list[Vector]:
    """PROTOCOL 12.3."""
    ticket = _ticket()
    text = ticket.encode()
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    fields = cbor.decode(raw, "ticket", limit=len(raw))

    def encoded(value: Any) -> str:
        return base64.urlsafe_b64encode(cbor.encode(value)).rstrip(b"=").decode()

    malformed = {
        "nothing": "",
        "cut-short": text[:-8],
        "with-padding": text + "=",
        "standard-base64": base64.b64encode(raw + b"\xff" * 3).decode(),
        "code-of-31-bytes": encoded({**fields, 6: CODE[:-1]}),
        "without-a-key": encoded({key: fields[key] for key in fields if key != 9}),
        "unknown-field": encoded({**fields, 11: 0}),
        "name-in-upper-case": encoded({**fields, 1: "Hub"}),
        "broker-beyond-ascii": encoded({**fields, 2: "mqtts://b\u00fccher.example"}),
    }
    expect = {"claims": plain(ticket)}
    weak = _ticket(root=spki("testRSA1024")).encode()
    return [
        good("device", {"text": text}, expect),
        good("with-line-breaks", {"text": f"{text[:76]}\n{text[76:]}\n"}, expect),
        *(bad(name, {"text": value}, "malformed") for name, value in malformed.items()),
        bad("root-of-1024-bits", {"text": weak}, "key-format"),
        bad("certificate-of-4097-bytes", {"text": _ticket(ca=bytes(4097)).encode()}, "too-large"),
    ]


def join_offer_vectors() -> list[Vector]:
    """PROTOCOL 12.3."""
    request = device_request()
    offer = JoinOffer.make(request, code=CODE, device="hub", fleet_id=PIN.fleet_id)

    def given(data: bytes, code: bytes = CODE, device: str = "hub") -> dict[str, Any]:
        return {"data": data.hex(), "code": code.hex(), "device": device}

    other_fleet = JoinOffer.make(
        request, code=CODE, device="hub", fleet_id=fixed_bytes("another fleet", 16)
    )
    other_device = JoinOffer.make(request, code=CODE, device="lamp", fleet_id=PIN.fleet_id)
    swapped = JoinOffer(request=device_request(RSA2048), mac=offer.mac)
    changed = JoinOffer(request=request, mac=bytes([offer.mac[0] ^ 1]) + offer.mac[1:])
    signature = {
        "another-code": given(offer.encode(), fixed_bytes("code of another ticket", 32)),
        "another-device": given(offer.encode(), device="lamp"),
        "made-for-another-device": given(other_device.encode()),
        "made-for-another-fleet": given(other_fleet.encode()),
        "request-swapped": given(swapped.encode()),
        "mac-changed": given(changed.encode()),
    }
    malformed = {
        "mac-of-31-bytes": given(cbor.encode([request, offer.mac[:-1]])),
        "without-a-mac": given(cbor.encode([request])),
        "trailing-byte": given(offer.encode() + b"\0"),
        "the-request-alone": given(request),
    }
    return [
        good("device", given(offer.encode()), {"name": "hub", "request": request.hex()}),
        *(bad(name, value, "signature") for name, value in signature.items()),
        *(bad(name, value, "malformed") for name, value in malformed.items()),
        bad("too-long", given(cbor.encode([bytes(16_385), offer.mac])), "too-large"),
    ]

"""Vectors of copies that only a dishonest sender makes.

Everything in them is signed and consistent up to the private key's work. They are answered
*unreadable*, with one reason for all of them.
"""

from dataclasses import replace

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from device_sdk.wire import cose
from device_sdk.wire.envelope import Copy
from device_sdk.wire.padding import pad
from tests.vectors.generate.copies import copy_input, good_copy
from tests.vectors.generate.fixed import fixed_bytes
from tests.vectors.generate.fleet import AAD, OTHER_AAD, RSA2048, RSA4096, signer
from tests.vectors.generate.messages import PAYLOAD, TWO_READERS, Message, assemble
from tests.vectors.generate.salamander import find_keys, make
from tests.vectors.generate.vector import Vector, bad

TEXTS = ("Open the garage for the plumber.", "Keep the garage locked.")


def dishonest_vectors() -> list[Vector]:
    """PROTOCOL 6.2, from the private key on."""
    padded = pad(PAYLOAD)
    elsewhere = Message("elsewhere", TWO_READERS)
    messages = {
        "wrapped-key-is-another-one": Message(
            "other cek", TWO_READERS, wrapped=fixed_bytes("another cek", 32)
        ),
        "commitment-to-another-key": Message(
            "commitment", TWO_READERS, header={"cek_commitment": bytes(32)}
        ),
        "open-hash-of-another-reader": Message("token", TWO_READERS, token_for="lamp"),
        "no-ciphertext-of-this-key": Message("tag", TWO_READERS, ciphertext=bytes(272)),
        "encrypted-for-another-fleet": replace(elsewhere, ciphertext=_for_another(elsewhere)),
        "padding-not-zero": Message("pad", TWO_READERS, plaintext=padded[:-1] + b"\x01"),
        "padding-too-long": Message("pad", TWO_READERS, plaintext=padded + bytes(16)),
        "length-beyond-the-end": Message(
            "length", TWO_READERS, plaintext=(253).to_bytes(4) + bytes(252)
        ),
        "key-of-16-bytes-that-commits-like-one-of-32": _short_key(16),
        "key-of-24-bytes-that-commits-like-one-of-32": _short_key(24),
        "key-of-33-bytes-that-commits-like-one-of-32": _long_key(),
    }
    vectors = [
        bad(name, copy_input(message.copy("hub")), "unreadable")
        for name, message in messages.items()
    ]
    gone = copy_input(Message("gone", TWO_READERS).copy("hub"), key=RSA4096)
    return [
        *vectors,
        bad("wrapped-key-is-not-oaep", copy_input(_not_oaep()), "unreadable"),
        bad("sealed-to-a-key-that-is-gone", gone, "key-gone"),
        *_salamander(),
    ]


def _for_another(message: Message) -> bytes:
    body = message.sealed().body
    additional = cose.encrypt_structure(body.protected, OTHER_AAD)
    return AESGCM(message.content_key).encrypt(body.header.iv, pad(PAYLOAD), additional)


def _short_key(size: int) -> Message:
    """AES takes the key as it is, and HMAC pads it with zeros: only its length gives it away."""
    return Message("short", TWO_READERS, cek=fixed_bytes("short cek", size))


def _long_key() -> Message:
    cek = fixed_bytes("long cek", 32)
    return Message("long", TWO_READERS, cek=cek, wrapped=cek + b"\0")


def _not_oaep() -> Copy:
    message = Message("not oaep", {"hub": RSA2048})
    entry = replace(message.reader("hub"), wrapped_cek=b"\x01" * 256)
    body = message.sealed().body
    header = message.make_header([entry])
    return assemble(header, body.ciphertext, [entry], signer("thermo-1")).copies()[0]


def _salamander() -> list[Vector]:
    first, second = (
        Message("salamander", TWO_READERS, cek=key)
        for key in find_keys(fixed_bytes("salamander iv", 12))
    )
    readers = [first.reader("hub"), second.reader("lamp")]
    header = first.make_header(readers)
    additional = cose.encrypt_structure(header.encode(), AAD)
    keys = (first.content_key, second.content_key)
    ciphertext = make(keys, header.iv, additional, TEXTS)
    hub, lamp = assemble(header, ciphertext, readers, signer("thermo-1")).copies()
    texts = [AESGCM(key).decrypt(header.iv, ciphertext, additional)[4:] for key in keys]
    refused = bad("salamander-at-the-second-reader", copy_input(lamp, reader="lamp"), "unreadable")
    # What would be read there if the commitment were not checked first.
    refused["without_commitment"] = {"cek": keys[1].hex(), "payload": texts[1].hex()}
    return [good_copy("salamander-at-the-first-reader", hub, keys[0], texts[0]), refused]

"""An admitted device whose program lies, and anybody who may publish at a broker."""

import os
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from paho.mqtt import publish

from device_sdk.identity import Identity
from device_sdk.trust import Pin
from device_sdk.wire import cose, merkle
from device_sdk.wire.content_key import cek_commitment, open_hash, open_token
from device_sdk.wire.envelope import Body, Envelope, Reader, countersign
from device_sdk.wire.header import Header
from device_sdk.wire.key_statement import KeyStatement, decode_key_list
from device_sdk.wire.limits import DAY
from device_sdk.wire.login import make_token
from device_sdk.wire.padding import pad
from device_sdk.wire.suites import OAEP, load_wrap_key
from device_sdk.wire.topics import Topics
from tests.support.home import Home
from tests.vectors.generate import salamander

TEXTS = ("Open the garage for the plumber.", "Keep the garage locked.")
SENDER = "thermo-1"


class DishonestSender:
    """The device thermo-1, admitted like any other, with a program of its own."""

    def __init__(self, home: Home) -> None:
        self._home = home
        bundle = home.directory / "fleet/public"
        self.pin = Pin.from_pem((bundle / "root.pub").read_bytes())
        self._identity = Identity.load(home.directory / SENDER / "identity.pem", None)
        self._id, self._iv = os.urandom(16), os.urandom(12)

    def salamander(self) -> None:
        """Send one ciphertext that opens to one text for hub and to another for phone."""
        keys = salamander.find_keys(self._iv)
        header, readers = self._prepare({"hub": keys[0], "phone": keys[1]})
        aad = cose.encrypt_structure(header.encode(), self.pin.aad)
        ciphertext = salamander.make(keys, self._iv, aad, TEXTS)
        for key, text in zip(keys, TEXTS, strict=True):  # it is what it is said to be
            assert text.encode() in AESGCM(key).decrypt(self._iv, ciphertext, aad)
        self._send(header, ciphertext, readers)

    def short_key(self) -> None:
        """Send a message under a 16-byte key, which commits like the same key with zeros behind."""
        key = os.urandom(16)
        padded = key.ljust(32, b"\0")
        assert cek_commitment(key, self._id) == cek_commitment(padded, self._id)
        header, readers = self._prepare({"hub": key, "phone": padded})
        aad = cose.encrypt_structure(header.encode(), self.pin.aad)
        ciphertext = AESGCM(key).encrypt(self._iv, pad(TEXTS[0].encode()), aad)
        self._send(header, ciphertext, readers)

    def _prepare(self, keys: Mapping[str, bytes]) -> tuple[Header, tuple[Reader, ...]]:
        readers = tuple(self._wrap(name, key) for name, key in sorted(keys.items()))
        now = int(time.time())
        header = Header(
            content_type="text/plain",
            sender_kid=self._identity.kid,
            iv=self._iv,
            sender=SENDER,
            channel="direct",
            expires=now + DAY,
            issued=now,
            message_id=self._id,
            reader_root=merkle.root([reader.leaf_hash() for reader in readers]),
            reader_count=len(readers),
            cek_commitment=cek_commitment(keys["hub"], self._id),
            sequence=1,
        )
        return header, readers

    def _wrap(self, name: str, key: bytes) -> Reader:
        listed = decode_key_list((self._home.directory / "fleet/public/keys" / name).read_bytes())
        wrap = load_wrap_key(cose.parse_signed(KeyStatement, listed[-1]).claims.spki)
        token = open_token(key, self._id, wrap.kid, name)
        return Reader(
            reader=name,
            kid=wrap.kid,
            open_hash=open_hash(token),
            wrapped_cek=wrap.key.encrypt(key, OAEP),
        )

    def _send(self, header: Header, ciphertext: bytes, readers: tuple[Reader, ...]) -> None:
        protected, aad = header.encode(), self.pin.aad
        signature, _ = countersign(protected, ciphertext, self._identity, aad)
        body = Body(
            protected=protected, header=header, countersignature=signature, ciphertext=ciphertext
        )
        token = make_token(
            SENDER,
            audience=self.pin.fingerprint,
            now=int(time.time()),
            signer=self._identity,
            aad=aad,
        )
        put(
            self._home,
            Topics().send(SENDER, self._id),
            Envelope(body=body, readers=readers).encode(),
            client_id=SENDER,
            auth={"username": SENDER, "password": token},
        )


def put(home: Home, topic: str, payload: bytes, **options: object) -> None:
    """Publish one message, and wait for its PUBACK."""
    address = urlsplit(home.url)
    assert address.hostname is not None
    assert address.port is not None
    publish.single(
        topic,
        payload,
        qos=1,
        hostname=address.hostname,
        port=address.port,
        **options,  # type: ignore[arg-type]
    )

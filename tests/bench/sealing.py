"""Seal and open against the raw primitives they cannot do without, alternating in one run.

A ratio of 0.9 means: of the time that sealing takes, 90 % is RSA, ECDSA, AES-GCM and hashing by
the library, and 10 % is ours (CBOR, COSE, the tree, records). Above 1 means that threads helped.
"""

import hashlib
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from device_sdk.identity import Identity
from device_sdk.keys.reader_key import ReaderKey
from device_sdk.seal import Sealed, WrapTarget, seal
from device_sdk.trust import Roster, VerifiedHead
from device_sdk.unseal import check_copy, open_copy
from device_sdk.wire import cose
from device_sdk.wire.envelope import Envelope
from device_sdk.wire.limits import DAY
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.roster_page import ROLE_DEVICE, DeviceEntry
from device_sdk.wire.suites import OAEP
from device_sdk.wire.topics import Kind, Topic

PAYLOAD = os.urandom(512)
PADDED = bytes(544)
NOW = 1_800_000_000
SENDER = "sender"
_SHA256 = hashes.SHA256()
_ROUNDS = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """One line of the table."""

    name: str
    ours: float
    """Median seconds of one operation."""
    raw_over_ours: float
    """Median of the rounds' ratios."""


class Bench:
    """Keys and one roster, made once."""

    def __init__(self) -> None:
        self.identity = Identity.generate()
        self.keys = [ReaderKey.generate() for _ in range(4)]
        self.aad = cose.fleet_aad(bytes(16))
        head = RosterHead(
            fleet_id=bytes(16), version=1, issued=NOW, expires=NOW + DAY, page_hashes=(bytes(32),)
        )
        entry = DeviceEntry(
            identities=(self.identity.spki,), roles=(ROLE_DEVICE,), not_after=NOW + DAY
        )
        self.roster = Roster(
            head=VerifiedHead(data=b"", head=head, root=self.identity.public),
            pages=(),
            devices={SENDER: entry},
            channels={},
        )

    def target(self, index: int) -> WrapTarget:
        """Return reader number ``index``; a few RSA keys serve all readers."""
        return WrapTarget(reader=f"reader-{index:04}", key=self.keys[index % 4].public)

    def seal(self, targets: list[WrapTarget], threads: int = 1) -> Sealed:
        """Seal as `Device.send` does."""
        return seal(
            PAYLOAD,
            recipients=targets,
            sender=SENDER,
            signer=self.identity,
            aad=self.aad,
            content_type="application/octet-stream",
            issued=NOW,
            expires=NOW + DAY,
            sequence=1,
            threads=threads,
        )

    def raw_seal(self, targets: list[WrapTarget]) -> None:
        """Do only what the library must do for the same message."""
        cek, iv, message_id = os.urandom(32), os.urandom(12), os.urandom(16)
        HKDFExpand(_SHA256, 32, b"sealgate 1 commit" + message_id).derive(cek)
        for target in targets:
            info = b"sealgate 1 open" + message_id + target.key.kid + target.reader.encode()
            hashlib.sha256(HKDFExpand(_SHA256, 32, info).derive(cek)).digest()
            hashlib.sha256(target.key.key.encrypt(cek, OAEP)).digest()
        sealed = AESGCM(cek).encrypt(iv, PADDED, bytes(420))
        self.identity.sign(sealed + bytes(420))
        hashlib.sha256(sealed).digest()

    def opening(self, count: int) -> tuple[Callable[[], object], Callable[[], object]]:
        """Return (ours, raw) for opening one copy of a message to ``count`` readers."""
        sealed = self.seal([self.target(index) for index in range(count)])
        copy = Envelope.decode(sealed.envelope).copies()[0]
        data, key = copy.encode(), self.keys[0]
        topic = Topic(
            kind=Kind.INBOX, owner="reader-0000", sender=SENDER, message_id=sealed.message_id
        )

        def ours() -> object:
            checked = check_copy(
                data, topic=topic, reader="reader-0000", roster=self.roster, aad=self.aad, now=NOW
            )
            return open_copy(checked, key)

        signed = copy.body.signed_bytes(self.aad)
        signature = copy.body.countersignature.signature

        def raw() -> object:
            self.identity.public.verify(signature, signed)
            hashlib.sha256(signed).digest()
            cek = key.key.decrypt(copy.reader.wrapped_cek, OAEP)
            HKDFExpand(_SHA256, 32, bytes(33)).derive(cek)
            HKDFExpand(_SHA256, 32, bytes(58)).derive(cek)
            aad = cose.encrypt_structure(copy.body.protected, self.aad)
            return AESGCM(cek).decrypt(copy.body.header.iv, copy.body.ciphertext, aad)

        return ours, raw


def _compare(
    name: str, ours: Callable[[], object], raw: Callable[[], object], repeat: int
) -> Ratio:
    ours(), raw()
    times, ratios = [], []
    for _ in range(_ROUNDS):
        spent = []
        for function in (raw, ours):
            start = time.perf_counter()
            for _ in range(repeat):
                function()
            spent.append((time.perf_counter() - start) / repeat)
        times.append(spent[1])
        ratios.append(spent[0] / spent[1])
    return Ratio(name=name, ours=statistics.median(times), raw_over_ours=statistics.median(ratios))


def run() -> list[Ratio]:
    """Measure seal and open for 1, 10, 100 and 1,000 readers (RSA-3072, ES256, 512 bytes)."""
    bench, lines = Bench(), []
    for count, repeat in ((1, 400), (10, 80), (100, 10), (1000, 1)):
        targets = [bench.target(index) for index in range(count)]
        for threads in (1, 2) if count >= 100 else (1,):
            name = f"seal to {count} readers, {threads} thread{'s' * (threads > 1)}"
            lines.append(
                _compare(
                    name,
                    lambda t=targets, n=threads: bench.seal(t, n),  # type: ignore[misc]
                    lambda t=targets: bench.raw_seal(t),  # type: ignore[misc]
                    repeat,
                )
            )
        ours, raw = bench.opening(count)
        lines.append(_compare(f"open one copy of {count}", ours, raw, 50))
    return lines

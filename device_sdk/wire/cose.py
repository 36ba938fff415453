"""The COSE structures that are signed, and COSE_Sign1 records (PROTOCOL 4, RFC 9052, RFC 9338)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError, SignatureError
from device_sdk.wire.limits import KID_SIZE, MAX_SIGNATURE
from device_sdk.wire.suites import ES256, PS256, Signer, VerifyKey

ALG, CONTENT_TYPE, KID, IV, COUNTERSIGNATURE, CWT_CLAIMS, TYP = 1, 3, 4, 5, 11, 15, 16
"""Header labels: RFC 9052 table 3, RFC 9338 4, RFC 9597 2, RFC 9596 2."""

_SIGN1_TAG = b"\xd2"
_PROTOCOL_NAME = "sealgate-1"

FLEETLESS_AAD = cbor.encode([_PROTOCOL_NAME])
"""external_aad of what is made before a device knows its fleet: key statements, join requests."""


def fleet_aad(fleet_id: bytes) -> bytes:
    """Return the external_aad that ties every other structure to one fleet (PROTOCOL 4)."""
    return cbor.encode([_PROTOCOL_NAME, fleet_id])


def encrypt_structure(protected: bytes, aad: bytes) -> bytes:
    """Return the Enc_structure, the AEAD's additional data (RFC 9052 5.3)."""
    return cbor.encode(["Encrypt", protected, aad])


def countersign_structure(
    protected: bytes, sign_protected: bytes, aad: bytes, ciphertext: bytes
) -> bytes:
    """Return the Countersign_structure without other_fields (RFC 9338 3.3).

    It does not cover the readers: they are bound by the reader-root in ``protected``.
    """
    return cbor.encode(["CounterSignature", protected, sign_protected, aad, ciphertext])


def signer_header(alg: int, kid: bytes, typ: str) -> bytes:
    """Return the protected header of a signature: algorithm, key and purpose."""
    return cbor.encode({ALG: alg, KID: kid, TYP: typ})


def parse_signer_header(data: bytes, what: str, *, typ: str) -> tuple[int, bytes]:
    """Return (alg, kid) of a signature made for ``typ``. Raises MalformedError."""
    fields = cbor.as_map(cbor.decode(data, what, limit=128), what, (ALG, KID, TYP))
    alg = fields[ALG]
    if type(alg) is not int or alg not in (ES256, PS256):
        raise MalformedError(f"{what}.alg", expected="ES256 or PS256", got="another algorithm")
    if fields[TYP] != typ:
        raise MalformedError(f"{what}.typ", expected=typ, got="another type")
    return alg, cbor.as_bytes(fields[KID], f"{what}.kid", size=KID_SIZE)


def check_signer(alg: int, kid: bytes, key: VerifyKey) -> None:
    """Raise SignatureError unless a signature's header names exactly this key and algorithm."""
    if alg != key.alg or kid != key.kid:
        raise SignatureError("signed by another key or algorithm than the roster lists")


class Record(Protocol):
    """The payload of a COSE_Sign1: what somebody states and signs."""

    TYP: ClassVar[str]
    """The media type in ``typ``, which keeps one statement from passing for another."""
    LIMIT: ClassVar[int]
    """Most bytes of the whole COSE_Sign1."""

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""


R_co = TypeVar("R_co", bound=Record, covariant=True)
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unverified(Generic[R_co]):
    """A well-formed record whose signature nobody has checked yet.

    ``claims`` serves to find the key; only what `verify` returns may be believed.
    """

    claims: R_co
    alg: int
    kid: bytes
    protected: bytes
    payload: bytes
    signature: bytes

    def verify(self, key: VerifyKey, aad: bytes) -> R_co:
        """Return the record. Raises SignatureError if it is not signed by ``key`` for ``aad``."""
        check_signer(self.alg, self.kid, key)
        key.verify(self.signature, _sig_structure(self.protected, aad, self.payload))
        return self.claims


def sign(record: Record, signer: Signer, aad: bytes) -> bytes:
    """Return the tagged COSE_Sign1 of a record (RFC 9052 4.2)."""
    protected = signer_header(signer.alg, signer.kid, record.TYP)
    payload = record.encode()
    signature = signer.sign(_sig_structure(protected, aad, payload))
    return _SIGN1_TAG + cbor.encode([protected, {}, payload, signature])


def parse_signed(kind: type[R], data: bytes) -> Unverified[R]:
    """Parse a COSE_Sign1 that must be of one kind of record.

    Raises:
        TooLargeError: more bytes than the kind allows.
        MalformedError: any other departure from PROTOCOL.
    """
    what = kind.__name__
    if data[:1] != _SIGN1_TAG:
        raise MalformedError(what, expected="a COSE_Sign1 (tag 18)", got="something else")
    fields = cbor.decode(data[1:], what, limit=kind.LIMIT)
    protected, unprotected, payload, signature = cbor.as_array(fields, what, length=4)
    cbor.as_map(unprotected, f"{what}.unprotected", ())
    alg, kid = parse_signer_header(
        cbor.as_bytes(protected, f"{what}.protected"), f"{what}.protected", typ=kind.TYP
    )
    payload = cbor.as_bytes(payload, f"{what}.payload")
    return Unverified(
        claims=kind.parse(cbor.decode(payload, what, limit=kind.LIMIT)),
        alg=alg,
        kid=kid,
        protected=protected,
        payload=payload,
        signature=cbor.as_bytes(signature, f"{what}.signature", most=MAX_SIGNATURE),
    )


def _sig_structure(protected: bytes, aad: bytes, payload: bytes) -> bytes:
    return cbor.encode(["Signature1", protected, aad, payload])

"""What is done with a vector: one operation for each file, from its input to what must come out."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from device_sdk import trust, unseal
from device_sdk.keys.reader_key import ReaderKey
from device_sdk.proofs import errors as proof_errors
from device_sdk.proofs import opening, pedersen, range_proof
from device_sdk.wire import (
    cbor,
    content_key,
    cose,
    errors,
    header,
    log_tree,
    login,
    merkle,
    padding,
    suites,
)
from device_sdk.wire.anonymous import AnonymousEnvelope, token_mac
from device_sdk.wire.certificates import decode_certificates, verify_certificates
from device_sdk.wire.envelope import Envelope
from device_sdk.wire.epoch_key import EpochKey, TokenKeys
from device_sdk.wire.excuse import Excuse
from device_sdk.wire.join_offer import JoinOffer
from device_sdk.wire.join_request import verify_join_request
from device_sdk.wire.key_statement import KeyStatement, decode_key_list
from device_sdk.wire.log_proof import LogProof, Prove
from device_sdk.wire.notice import Notice
from device_sdk.wire.owner_grant import OwnerGrant, verify_owner_request
from device_sdk.wire.query import Query, Seen
from device_sdk.wire.read_ack import ReadAck
from device_sdk.wire.roster_head import RootSuccession, RosterHead
from device_sdk.wire.roster_page import (
    ROLE_DEVICE,
    ROLE_GATEWAY,
    RosterPage,
    decode_bundle,
    page_hash,
)
from device_sdk.wire.state import State
from device_sdk.wire.ticket import Ticket
from device_sdk.wire.token_request import TokenIssue, TokenRequest
from device_sdk.wire.topics import Topics
from device_sdk.wire.totals_bill import BillAnswer, BillRequest
from device_sdk.wire.totals_share import Split
from device_sdk.wire.totals_sum import SumAnswer, SumReport, SumRequest
from device_sdk.wire.tree_head import TreeHead, leaf_of
from tests.vectors.generate.fixed import private_key
from tests.vectors.generate.records import plain

VECTORS = Path(__file__).parent
FLEET: dict[str, Any] = json.loads((VECTORS / "fleet.json").read_text())
NOW: int = FLEET["now"]
PIN = trust.Pin.from_spki(
    bytes.fromhex(json.loads((VECTORS / "keys.json").read_text())["keys"][FLEET["root"]]["spki"])
)
OWNER = "owner"

KINDS: dict[type[BaseException], str] = {
    errors.MalformedError: "malformed",
    errors.TooLargeError: "too-large",
    errors.KeyFormatError: "key-format",
    errors.SignatureError: "signature",
    errors.InclusionError: "inclusion",
    errors.ConsistencyError: "consistency",
    errors.TopicError: "topic",
    trust.TrustError: "untrusted",
    trust.UnknownDeviceError: "unknown-device",
    trust.RollbackError: "rollback",
    trust.ForkError: "fork",
    trust.RosterExpiredError: "roster-expired",
    proof_errors.MalformedProofError: "malformed",
    proof_errors.RangeError: "malformed",
    proof_errors.ProofError: "proof",
    unseal.CopyDamagedError: "damaged",
    unseal.CopyDroppedError: "dropped",
    unseal.CopyExpiredError: "dropped",
    unseal.UnreadableError: "unreadable",
}
"""README.md lists what each kind means to another implementation."""

Json = dict[str, Any]


class KeyGoneError(Exception):
    """The copy is sealed to a key that the reader does not have any more."""


KINDS[KeyGoneError] = "key-gone"


@cache
def roster() -> trust.Roster:
    """Return the fleet's roster, verified from the pinned root."""
    head, pages = decode_bundle(bytes.fromhex(FLEET["roster"]))
    verified = trust.verify_head(PIN, head)
    return trust.complete_roster(verified, {page_hash(page): page for page in pages})


def decode_cbor(given: Json) -> Json:
    data = bytes.fromhex(given["data"])
    value = cbor.decode(data, "vector", limit=1 << 16)
    assert cbor.encode(value) == data
    return {"diagnostic": _diagnostic(value)}


def _diagnostic(value: Any) -> str:
    """RFC 8949 8, as far as version 1 needs it."""
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, list):
        return f"[{', '.join(map(_diagnostic, value))}]"
    if isinstance(value, dict):
        pairs = (f"{_diagnostic(key)}: {_diagnostic(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    return json.dumps(value, ensure_ascii=False)


def derive(given: Json) -> Json:
    cek, message_id = bytes.fromhex(given["cek"]), bytes.fromhex(given["message_id"])
    token = content_key.open_token(
        cek, message_id, bytes.fromhex(given["reader_kid"]), given["reader"]
    )
    return {
        "commitment": content_key.cek_commitment(cek, message_id).hex(),
        "open_token": token.hex(),
        "open_hash": content_key.open_hash(token).hex(),
    }


def commit(given: Json) -> Json:
    value, blinding = given["value"], bytes.fromhex(given["blinding"])
    commitment = pedersen.commit(value, blinding)
    assert pedersen.opens(commitment, value, blinding)
    return {"commitment": commitment.hex()}


def _draw(given: Json) -> Callable[[], bytes]:
    return iter([bytes.fromhex(scalar) for scalar in given["draws"]]).__next__


def check_opening(given: Json) -> Json:
    proof, commitment, tag = (bytes.fromhex(given[key]) for key in ("proof", "commitment", "tag"))
    opening.verify_opening(proof, commitment, tag=tag)
    blinding = bytes.fromhex(given["blinding"])
    made = opening.prove_opening(given["value"], blinding, tag=tag, draw=_draw(given))
    assert made == proof
    return {}


def check_range(given: Json) -> Json:
    proof, commitment, tag = (bytes.fromhex(given[key]) for key in ("proof", "commitment", "tag"))
    low, high = given["low"], given["high"]
    range_proof.verify(proof, commitment, low=low, high=high, tag=tag)
    blinding, draw = bytes.fromhex(given["blinding"]), _draw(given)
    assert proof == range_proof.prove(
        given["value"], blinding, low=low, high=high, tag=tag, draw=draw
    )
    return {}


def pad(given: Json) -> Json:
    return {"total": len(padding.pad(bytes(given["length"])))}


def unpad(given: Json) -> Json:
    data = padding.unpad(bytes.fromhex(given["plaintext"]))
    assert padding.pad(data).hex() == given["plaintext"]
    return {"data": data.hex()}


def grow_tree(given: Json) -> Json:
    leaves = [merkle.leaf_hash(index.to_bytes(4)) for index in range(given["entries"])]
    paths = {
        str(index): [node.hex() for node in path] for index, path in enumerate(merkle.paths(leaves))
    }
    return {"root": merkle.root(leaves).hex(), "paths": paths}


def check_inclusion(given: Json) -> Json:
    merkle.check_inclusion(
        merkle.leaf_hash(bytes.fromhex(given["entry"])),
        index=given["index"],
        count=given["count"],
        path=[bytes.fromhex(node) for node in given["path"]],
        expected_root=bytes.fromhex(given["root"]),
    )
    return {}


def check_growth(given: Json) -> Json:
    log_tree.check_consistency(
        given["first"],
        bytes.fromhex(given["first_root"]),
        given["second"],
        bytes.fromhex(given["second_root"]),
        [bytes.fromhex(node) for node in given["path"]],
    )
    return {}


def enter(given: Json) -> Json:
    payload = bytes.fromhex(given["payload"])
    if given["kind"] == "token":
        record: Any = EpochKey.decode(payload)
    else:
        kind: Any = {"roster": RosterHead, "key": KeyStatement}[given["kind"]]
        record = kind.parse(cbor.decode(payload, "entry", limit=kind.LIMIT))
    entry = cbor.encode([given["kind"], payload])
    return {"entry": entry.hex(), "leaf": leaf_of(record).hex()}


def decode_proof(given: Json) -> Json:
    data = bytes.fromhex(given["data"])
    proof = LogProof.decode(data)
    assert proof.encode() == data
    claims: Json = plain(proof)
    return claims


def load_key(given: Json) -> Json:
    spki = bytes.fromhex(given["spki"])
    if given["use"] == "reader-key":
        return {"alg": suites.RSA_OAEP_SHA256, "kid": suites.load_wrap_key(spki).kid.hex()}
    key = suites.load_verify_key(spki)
    return {"alg": key.alg, "kid": key.kid.hex()}


def parse_topic(given: Json) -> Json:
    topic = Topics().parse(given["topic"])
    return {name: value for name, value in plain(topic).items() if value}


def decode_header(given: Json) -> Json:
    data = bytes.fromhex(given["header"])
    decoded = header.Header.decode(data)
    assert decoded.encode() == data
    claims: Json = plain(decoded)
    return claims


def check_envelope(given: Json) -> Json:
    data = bytes.fromhex(given["envelope"])
    envelope = Envelope.decode(data)
    assert envelope.encode() == data
    sender = roster().identity(envelope.body.header.sender, envelope.body.header.sender_kid)
    copies = envelope.copies()
    return {
        "digest": envelope.body.verify(sender, PIN.aad).hex(),
        "readers": [reader.reader for reader in envelope.readers],
        "copies": [copy.encode().hex() for copy in copies],
    }


def check_anonymous(given: Json) -> Json:
    data = bytes.fromhex(given["envelope"])
    envelope = AnonymousEnvelope.decode(data)
    assert envelope.encode() == data
    body, digest = envelope.body, envelope.body.digest(PIN.aad)
    output = bytes.fromhex(given["output"])
    found = {
        "digest": digest.hex(),
        "key_id": body.header.key_id.hex(),
        "is_genuine": token_mac(output, body.header.message_id, digest) == body.token.mac,
        "copies": [copy.encode().hex() for copy in envelope.copies()],
    }
    return found if found["is_genuine"] else {k: v for k, v in found.items() if k != "copies"}


def decode_issue(given: Json) -> Json:
    data = bytes.fromhex(given["data"])
    issue = TokenIssue.decode(data)
    assert issue.encode() == data
    claims: Json = plain(issue)
    return claims


def read_copy(given: Json) -> Json:
    checked = unseal.check_copy(
        bytes.fromhex(given["copy"]),
        topic=Topics().parse(given["topic"]),
        reader=given["reader"],
        roster=roster(),
        aad=PIN.aad,
        now=NOW,
    )
    key = private_key(given["key"])
    assert isinstance(key, rsa.RSAPrivateKey)
    reader_key = ReaderKey.from_key(key)
    if reader_key.kid != checked.reader_kid:
        raise KeyGoneError
    opened = unseal.open_copy(checked, reader_key)
    return {
        "digest": checked.digest.hex(),
        "sender": checked.header.sender,
        "message_id": checked.header.message_id.hex(),
        "payload": opened.payload.hex(),
        "open_token": opened.open_token.hex(),
    }


def record(
    kind: type[cose.Record], role: str = ROLE_DEVICE, aad: bytes = PIN.aad
) -> Callable[[Json], Json]:
    """Return the operation that verifies one kind of signed record."""

    def verify(given: Json) -> Json:
        unverified = cose.parse_signed(kind, bytes.fromhex(given["data"]))
        if given["signer"] == OWNER:
            key = PIN.root
        else:
            key = _signer(given["signer"], unverified.kid, role)
        claims = unverified.verify(key, aad)
        assert claims.encode() == unverified.payload
        return {"claims": plain(claims)}

    return verify


def _signer(name: str, kid: bytes, role: str) -> suites.VerifyKey:
    entry = roster().devices[name]
    if role in entry.roles and kid not in map(suites.key_id, entry.identities):
        return suites.load_verify_key(entry.identities[0])  # which then does not match the kid
    return roster().identity(name, kid, role)


def verify_statement(given: Json) -> Json:
    data, device = bytes.fromhex(given["data"]), given["signer"]
    unverified = cose.parse_signed(KeyStatement, data)
    if unverified.claims.device != device:
        trust.verify_key_statement(data, device, roster())
    return record(KeyStatement, aad=cose.FLEETLESS_AAD)(given)


def verify_keys(given: Json) -> Json:
    serials = []
    for data in decode_key_list(bytes.fromhex(given["list"])):
        try:
            statement = trust.verify_key_statement(data, given["device"], roster())
        except (errors.WireError, trust.TrustError):
            continue
        serials.append(statement.serial)
    return {"serials": serials}


def admit(given: Json) -> Json:
    request, statement = verify_join_request(bytes.fromhex(given["data"]))
    outcome: Json = {"claims": plain(request)}
    if statement is not None:
        outcome |= {"serial": statement.serial, "reader_kid": statement.wrap_key.kid.hex()}
    return outcome


def verify_owner(given: Json) -> Json:
    return {"claims": plain(verify_owner_request(bytes.fromhex(given["data"])))}


def verify_certificate(given: Json) -> Json:
    member = verify_certificates(
        decode_certificates(bytes.fromhex(given["list"])),
        name=given["name"],
        identities=roster().devices[given["name"]].identities,
        owners=[PIN.root.spki],
    )
    return {"not_before": member.not_before, "not_after": member.not_after}


def open_ticket(given: Json) -> Json:
    return {"claims": plain(Ticket.decode(given["text"]))}


def check_offer(given: Json) -> Json:
    offer = JoinOffer.decode(bytes.fromhex(given["data"]))
    code, device = bytes.fromhex(given["code"]), given["device"]
    offer.check(code=code, device=device, fleet_id=PIN.fleet_id)
    return {"name": offer.name, "request": offer.request.hex()}


def log_in(given: Json) -> Json:
    unverified = login.parse_token(given["token"])
    user = given["user"]
    if unverified.claims.name != user:
        raise errors.SignatureError("the token names another user")
    role = roster().devices[user].roles[0]
    claims = login.verify_token(
        unverified,
        key=roster().identity(user, unverified.kid, role),
        audience=PIN.fingerprint,
        now=given["now"],
        aad=PIN.aad,
    )
    return {"name": claims.name}


def decode_page(given: Json) -> Json:
    data = bytes.fromhex(given["page"])
    page = RosterPage.decode(data)
    assert page.encode() == data
    fields: Json = plain(page)
    return fields


def verify_roster(given: Json) -> Json:
    known = None
    if "known" in given:
        known = trust.verify_head(PIN, decode_bundle(bytes.fromhex(given["known"]))[0])
    head, pages = decode_bundle(bytes.fromhex(given["bundle"]))
    verified = trust.verify_head(PIN, head)
    complete = trust.complete_roster(verified, {page_hash(page): page for page in pages})
    trust.check_successor(known, verified)
    complete.check_current(NOW)
    return {
        "version": complete.version,
        "signed_by": cose.parse_signed(RosterHead, head).kid.hex(),
        "devices": sorted(complete.devices),
        "channels": sorted(complete.channels),
    }


OPERATIONS: dict[str, Callable[[Json], Json]] = {
    "anonymous-envelope": check_anonymous,
    "bill-answer": record(BillAnswer),
    "bill-request": record(BillRequest, ROLE_GATEWAY),
    "cbor": decode_cbor,
    "certificates": verify_certificate,
    "commitment": commit,
    "content-key": derive,
    "copy": read_copy,
    "dishonest-copy": read_copy,
    "envelope": check_envelope,
    "excuse": record(Excuse),
    "header": decode_header,
    "join-offer": check_offer,
    "join-request": admit,
    "key-list": verify_keys,
    "key-statement": verify_statement,
    "log-entry": enter,
    "log-proof": decode_proof,
    "login": log_in,
    "merkle-consistency": check_growth,
    "merkle-inclusion": check_inclusion,
    "merkle-tree": grow_tree,
    "notice": record(Notice, ROLE_GATEWAY),
    "opening-proof": check_opening,
    "owner-grant": record(OwnerGrant),
    "owner-request": verify_owner,
    "padded-length": pad,
    "prove": record(Prove),
    "public-key": load_key,
    "query": record(Query),
    "range-proof": check_range,
    "read-ack": record(ReadAck),
    "root-succession": record(RootSuccession),
    "roster": verify_roster,
    "roster-page": decode_page,
    "seen": record(Seen),
    "split": record(Split),
    "state": record(State, ROLE_GATEWAY),
    "sum-answer": record(SumAnswer),
    "sum-report": record(SumReport),
    "sum-request": record(SumRequest, ROLE_GATEWAY),
    "ticket": open_ticket,
    "token-issue": decode_issue,
    "token-keys": record(TokenKeys, ROLE_GATEWAY),
    "token-request": record(TokenRequest),
    "topic": parse_topic,
    "tree-head": record(TreeHead, ROLE_GATEWAY),
    "unpad": unpad,
}

"""Vectors of a gateway's log: its signed heads, its entries, and what is proved about it.

The proofs are calculated once more from RFC 9162, by another way than the project does it.
"""

import hashlib

from device_sdk.wire import cbor
from device_sdk.wire.epoch_key import EpochKey
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.log_proof import Prove
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.tree_head import TreeHead
from tests.vectors.generate.calculations import _leaf, _path, _tree
from tests.vectors.generate.fixed import fixed_bytes
from tests.vectors.generate.fleet import NOW, VERSION, head, key_statement, pages
from tests.vectors.generate.records import accepted, refused
from tests.vectors.generate.tamper import Change, changed, drop_key, set_key
from tests.vectors.generate.vector import Vector, bad, good

LOG = fixed_bytes("log", 16)
MOST = 2**32 - 1


def tree_head(**changes: object) -> TreeHead:
    """Return the head of a log of seven entries, unsigned, with fields changed."""
    fields = {
        "log_id": LOG,
        "size": 7,
        "root": _tree(0, 7),
        "time": NOW,
        "roster_version": VERSION,
    }
    return TreeHead(**{**fields, **changes})  # type: ignore[arg-type]


def tree_head_vectors() -> list[Vector]:
    """PROTOCOL 8.6."""
    cases = {
        "log-id-of-15-bytes": set_key(1, LOG[:15]),
        "without-any-entry": set_key(2, 0),
        "root-of-31-bytes": set_key(3, _tree(0, 7)[:31]),
        "time-negative": set_key(4, -1),
    }
    vectors = refused(tree_head(), "gw-1", cases={**cases, "too-many-entries": set_key(2, 2**32)})
    for vector in vectors:
        if vector["name"] == "too-many-entries":
            vector["error"] = "too-large"
    return [
        accepted("seven-entries", tree_head(), "gw-1"),
        accepted("one-entry", tree_head(size=1, root=_tree(0, 1)), "gw-1"),
        accepted("as-many-entries-as-there-can-be", tree_head(size=MOST), "gw-1"),
        *vectors,
    ]


def log_entry_vectors() -> list[Vector]:
    """PROTOCOL 8.6."""
    token = EpochKey(channel="kitchen", begins=86400, ends=172800, public=fixed_bytes("key", 32))
    records: dict[str, RosterHead | KeyStatement | EpochKey] = {
        "roster": head(pages(1)),
        "key": key_statement("hub"),
        "token": token,
    }
    vectors = []
    for kind, record in records.items():
        entry = cbor.encode([kind, record.encode()])
        expect = {"entry": entry.hex(), "leaf": hashlib.sha256(b"\0" + entry).hexdigest()}
        vectors.append(good(kind, {"kind": kind, "payload": record.encode().hex()}, expect))
    return vectors


# ------------------------------------------------------------- asking, and what is answered


def prove_vectors() -> list[Vector]:
    """PROTOCOL 10.5."""
    leaves = (_leaf(0), _leaf(5))
    prove = Prove(device="hub", gateway="gw-1", first=3, second=7, leaves=leaves)
    cases: dict[str, Change] = {
        "gateway-in-upper-case": set_key(2, "GW-1"),
        "the-larger-size-first": set_key(3, 8),
        "leaf-of-31-bytes": set_key(5, [_leaf(0)[:31]]),
    }
    nothing = Prove(device="hub", gateway="gw-1", first=0, second=7)
    vectors = refused(prove, "hub", cases={**cases, "33-leaves": set_key(5, [_leaf(0)] * 33)})
    for vector in vectors:
        if vector["name"] == "33-leaves":
            vector["error"] = "too-large"
    return [
        accepted("growth-and-two-entries", prove, "hub"),
        accepted("nothing-at-all", nothing, "hub"),
        *vectors,
    ]


def log_proof_vectors() -> list[Vector]:
    """PROTOCOL 10.5."""
    included = [[_leaf(5), 5, _path(5, 0, 7)]]
    whole = cbor.encode({1: 3, 2: 7, 3: _growth(3, 7), 4: included})
    without = cbor.encode({1: 3, 2: 7, 4: []})
    cases: dict[str, Change] = {
        "the-larger-size-first": set_key(1, 8),
        "second-of-zero": lambda fields: {**fields, 1: 0, 2: 0},
        "hash-of-31-bytes": set_key(3, [bytes(31)]),
        "included-without-index": set_key(4, [[_leaf(5), []]]),
        "unknown-field": set_key(5, 0),
        **{f"without-field-{key}": drop_key(key) for key in (1, 2, 4)},
    }
    too_large = {
        "34-hashes": set_key(3, [bytes(32)] * 34),
        "33-entries": set_key(4, included * 33),
        "second-of-2-to-the-32": set_key(2, 2**32),
    }
    return [
        good("growth-and-one-entry", _data(whole), _claims(_growth(3, 7), [5])),
        good("the-log-does-not-have-it", _data(without), _claims(None, [])),
        *(bad(name, _data(changed(whole, case)), "malformed") for name, case in cases.items()),
        *(bad(name, _data(changed(whole, case)), "too-large") for name, case in too_large.items()),
        bad("trailing-byte", _data(whole + b"\0"), "malformed"),
    ]


def _data(data: bytes) -> dict[str, str]:
    return {"data": data.hex()}


def _claims(path: list[bytes] | None, included: list[int]) -> dict[str, object]:
    return {
        "first": 3,
        "second": 7,
        "consistency": None if path is None else [node.hex() for node in path],
        "included": [
            {
                "leaf": _leaf(index).hex(),
                "index": index,
                "path": [node.hex() for node in _path(index, 0, 7)],
            }
            for index in included
        ],
    }


# ------------------------------------------------------------- that a tree has only grown


def _subproof(first: int, start: int, end: int, whole: bool) -> list[bytes]:
    """RFC 9162 2.1.4.1, as it is written there."""
    if first == end - start:
        return [] if whole else [_tree(start, end)]
    split = 2 ** ((end - start - 1).bit_length() - 1)
    if first <= split:
        return [*_subproof(first, start, start + split, whole), _tree(start + split, end)]
    return [*_subproof(first - split, start + split, end, False), _tree(start, start + split)]


def _growth(first: int, second: int) -> list[bytes]:
    return _subproof(first, 0, second, True)


def merkle_consistency_vectors() -> list[Vector]:
    """PROTOCOL 8.6."""

    def claim(first: int, second: int, path: list[bytes], **changes: str) -> Vector:
        return {
            "first": first,
            "first_root": _tree(0, max(first, 1)).hex(),
            "second": second,
            "second_root": _tree(0, second).hex(),
            "path": [node.hex() for node in path],
            **changes,
        }

    path = _growth(3, 7)
    other = hashlib.sha256(b"\x01" + _leaf(9) + _leaf(9)).hexdigest()
    cases = {
        "a-node-changed": claim(3, 7, [*path[:-1], _leaf(9)]),
        "nodes-swapped": claim(3, 7, [path[1], path[0], *path[2:]]),
        "a-node-too-few": claim(3, 7, path[:-1]),
        "a-node-too-many": claim(3, 7, [*path, _leaf(9)]),
        "no-proof": claim(3, 7, []),
        "another-first-root": claim(3, 7, path, first_root=other),
        "another-second-root": claim(3, 7, path, second_root=other),
        "another-first-size": {**claim(3, 7, path), "first": 4},
        "another-second-size": {**claim(3, 7, path), "second": 9},
        "the-larger-tree-first": claim(7, 3, path),
        "one-size-two-roots": claim(7, 7, [], second_root=other),
        "one-size-and-a-node": claim(7, 7, [_leaf(9)]),
        "an-empty-tree-first": claim(0, 7, []),
        "a-power-of-two-without-proof": claim(4, 8, []),
        "a-power-of-two-with-its-own-root-in-the-proof": claim(4, 7, [_tree(0, 4), _tree(4, 7)]),
    }
    pairs = [(1, 1), (1, 2), (1, 7), (2, 3), (3, 7), (4, 7), (4, 8), (6, 7), (7, 7), (6, 1000)]
    goods = [
        good(f"{first}-to-{second}", claim(first, second, _growth(first, second)), {})
        for first, second in pairs
    ]
    return goods + [bad(name, given, "consistency") for name, given in cases.items()]

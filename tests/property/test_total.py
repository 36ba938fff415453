"""Whatever comes in, a decoder returns or raises one of the project's errors, and nothing else."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.vectors.operations import KINDS, OPERATIONS
from tests.vectors.test_vectors import ALL

FIELDS = {
    "bill-answer": "data",
    "bill-request": "data",
    "cbor": "data",
    "copy": "copy",
    "dishonest-copy": "copy",
    "envelope": "envelope",
    "excuse": "data",
    "header": "header",
    "join-request": "data",
    "key-list": "list",
    "key-statement": "data",
    "log-proof": "data",
    "notice": "data",
    "opening-proof": "proof",
    "prove": "data",
    "public-key": "spki",
    "query": "data",
    "range-proof": "proof",
    "read-ack": "data",
    "root-succession": "data",
    "roster": "bundle",
    "roster-page": "page",
    "seen": "data",
    "split": "data",
    "state": "data",
    "sum-answer": "data",
    "sum-report": "data",
    "sum-request": "data",
    "tree-head": "data",
    "unpad": "plaintext",
}
"""Every operation that takes bytes, and the field of its input that holds them."""

GOOD: dict[str, list[dict[str, Any]]] = {
    file: [v["input"] for (f, _), v in ALL.items() if f == file and "expect" in v]
    for file in FIELDS
}
LOOKS_LIKE = {"copy": b"\xd8\x60", "envelope": b"\xd8\x60"}
"""What the tag is, so that random bytes get past it."""


def survives(operation: Callable[[dict[str, Any]], Any], given: dict[str, Any]) -> None:
    """Run an operation that may refuse, but not fail in any other way."""
    try:
        operation(given)
    except tuple(KINDS):
        pass


@pytest.mark.parametrize("file", FIELDS)
@settings(max_examples=60)
@given(data=st.binary(max_size=300))
def test_random_bytes_are_refused_or_read(file: str, data: bytes) -> None:
    for start in (b"", LOOKS_LIKE.get(file, b"\xd2"), b"\xd2\x84"):
        survives(OPERATIONS[file], {**GOOD[file][0], FIELDS[file]: (start + data).hex()})


SIMPLE = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.binary(max_size=40)
    | st.text(max_size=40)
    | st.datetimes(timezones=st.just(UTC))
    | st.sampled_from([b"", "", 0, -1, 2**64, b"x" * 1000, "x" * 1000, cbor2.undefined])
)
ANY_CBOR = st.recursive(
    SIMPLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-70010, 70) | st.text(max_size=3), inner, max_size=4)
        | st.builds(cbor2.CBORTag, st.integers(6000, 70000), inner)
    ),
    max_leaves=8,
)


def mutated(value: Any, draw: Callable[[Any], Any]) -> Any:
    """Return a CBOR value changed in one place, also inside of byte strings that hold CBOR."""
    if isinstance(value, bytes) and len(value) > 2 and draw(st.integers(0, 3)):
        for tag in (b"\xd2", b"\xd8\x60", b""):
            if value.startswith(tag):
                try:
                    inner = cbor2.loads(value[len(tag) :])
                except (cbor2.CBORError, ArithmeticError, ValueError):  # no CBOR in these bytes
                    continue
                if isinstance(inner, list | dict):
                    return tag + cbor2.dumps(mutated(inner, draw))
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        return mutated_list(value, draw)
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        return mutated_map(value, draw)
    return draw(ANY_CBOR)


def mutated_list(items: list[Any], draw: Callable[[Any], Any]) -> list[Any]:
    index = draw(st.integers(0, len(items) - 1))
    before, item, after = items[:index], items[index], items[index + 1 :]
    match draw(st.integers(0, 5)):
        case 0:
            return before + after
        case 1:
            return [*before, item, item, *after]
        case 2:
            return items[::-1]
        case _:
            return [*before, mutated(item, draw), *after]


def mutated_map(fields: dict[Any, Any], draw: Callable[[Any], Any]) -> dict[Any, Any]:
    key = draw(st.sampled_from(list(fields)))
    match draw(st.integers(0, 5)):
        case 0:
            return {k: v for k, v in fields.items() if k != key}
        case 1:
            return {**fields, draw(st.integers(-70010, 20)): draw(ANY_CBOR)}
        case 2:
            return dict(reversed(fields.items()))
        case _:
            return {**fields, key: mutated(fields[key], draw)}


NO_CBOR = {"cbor", "opening-proof", "public-key", "range-proof", "unpad"}
STRUCTURED = [file for file in FIELDS if file not in NO_CBOR]


@pytest.mark.parametrize("file", STRUCTURED)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_good_bytes_with_a_wrong_part_are_refused_or_read(file: str, data: st.DataObject) -> None:
    given = data.draw(st.sampled_from(GOOD[file]))
    original = bytes.fromhex(given[FIELDS[file]])
    tag = next(tag for tag in (b"\xd8\x60", b"\xd2", b"") if original.startswith(tag))
    value = mutated(cbor2.loads(original[len(tag) :]), data.draw)
    changed = tag + cbor2.dumps(value)
    survives(OPERATIONS[file], {**given, FIELDS[file]: changed.hex()})


@given(token=st.text(max_size=300) | st.text(alphabet="0oQAERIVyz-_", max_size=300))
def test_any_text_as_login_token_is_refused(token: str) -> None:
    survives(OPERATIONS["login"], {"token": token, "user": "hub", "now": 0})


@given(
    topic=st.text(max_size=120)
    | st.lists(
        st.sampled_from(
            ["sealgate", "1", "send", "inbox", "roster", "hub", "+", "#", "", "0" * 32]
        ),
        max_size=7,
    ).map("/".join)
)
def test_any_text_as_topic_is_refused_or_read(topic: str) -> None:
    survives(OPERATIONS["topic"], {"topic": topic})


@given(data=st.binary(min_size=20, max_size=700))
def test_any_der_as_public_key_is_refused_or_read(data: bytes) -> None:
    p256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
    rsa = bytes.fromhex("30820122300d06092a864886f70d01010105000382010f00")
    for start in (b"", p256, p256 + b"\x04", rsa, rsa + bytes.fromhex("3082010a0282010100")):
        for use in ("identity", "reader-key"):
            survives(OPERATIONS["public-key"], {"spki": (start + data).hex(), "use": use})

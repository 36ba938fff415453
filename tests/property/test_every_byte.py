"""No byte of anything signed can be changed: what comes out is a refusal, never another message.

There is one exception: the proof of a reading is no part of the message, and changes nothing of it;
what it is worth the gateway finds out. What single bytes cannot show: an ES256 signature (r, s) has
a twin (r, n - s), which differs in all of s, verifies, and changes neither content nor digest.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.operations import KINDS, OPERATIONS
from tests.vectors.test_vectors import ALL

SIGNED = {
    ("envelope", "two-readers"): "envelope",
    ("envelope", "from-a-ps256-identity"): "envelope",
    ("envelope", "with-a-reading"): "envelope",
    ("copy", "one-reader"): "copy",
    ("copy", "first-of-three-readers"): "copy",
    ("copy", "last-of-three-readers-with-a-4096-bit-key"): "copy",
    ("read-ack", "read"): "data",
    ("read-ack", "unreadable-by-a-ps256-identity"): "data",
    ("notice", "all-events-in-one"): "data",
    ("notice", "an-answer-to-a-query"): "data",
    ("query", "about-one-of-each"): "data",
    ("seen", "two-outcomes"): "data",
    ("state", "online"): "data",
    ("token-keys", "two-periods"): "data",
    ("token-request", "two-elements"): "data",
    ("key-statement", "a-2048-bit-key"): "data",
    ("join-request", "device"): "data",
    ("join-request", "gateway-without-a-reader-key"): "data",
    ("root-succession", "to-a-4096-bit-key"): "data",
    ("excuse", "two-readers"): "data",
    ("roster", "three-pages"): "bundle",
    ("roster", "after-one-succession"): "bundle",
}
"""A good vector of everything that is signed, and its field that holds the bytes."""

CASES = [pytest.param(file, name, id=f"{file}-{name}") for file, name in SIGNED]

EXHAUSTIVE = "SEALGATE_EXHAUSTIVE" in os.environ
"""All 255 other values of every byte take minutes: SEALGATE_EXHAUSTIVE=1."""


def refused(file: str, given: dict[str, Any]) -> bool:
    """Tell whether a vector's operation refuses; anything but our errors is a failure."""
    try:
        OPERATIONS[file](given)
    except tuple(KINDS):
        return True
    return False


def changes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    masks = range(1, 256) if EXHAUSTIVE else (1, 2, 4, 8, 16, 32, 64, 128, 255)
    for position, byte in enumerate(data):
        for mask in masks:
            changed = bytearray(data)
            changed[position] = byte ^ mask
            yield position, mask, bytes(changed)


@pytest.mark.timeout(0 if EXHAUSTIVE else 120)
@pytest.mark.parametrize(("file", "name"), CASES)
def test_every_single_byte_change_is_refused(file: str, name: str) -> None:
    vector, field = ALL[file, name], SIGNED[file, name]
    assert not refused(file, vector["input"])
    data = bytes.fromhex(vector["input"][field])
    accepted = [
        (position, mask)
        for position, mask, changed in changes(data)
        if not refused(file, {**vector["input"], field: changed.hex()})
    ]
    assert accepted == []


@pytest.mark.parametrize(("file", "name"), CASES)
def test_no_byte_can_be_cut_off_or_added(file: str, name: str) -> None:
    vector, field = ALL[file, name], SIGNED[file, name]
    data = bytes.fromhex(vector["input"][field])
    for changed in (data[:-1], data[1:], data + b"\0", b"\0" + data, data * 2, b""):
        assert refused(file, {**vector["input"], field: changed.hex()})


def test_the_bytes_of_a_proof_change_nothing_of_the_message_that_it_travels_with() -> None:
    vector = ALL["envelope", "with-a-proof"]
    data = bytes.fromhex(vector["input"]["envelope"])
    begin = data.index(b"Eproof") + 1  # behind the head of a byte string of five
    taken = set()
    for position, mask, changed in changes(data):
        given = {**vector["input"], "envelope": changed.hex()}
        if not refused("envelope", given):
            assert OPERATIONS["envelope"](given) == vector["expect"]
            taken.add((position, mask))
    assert {position for position, _ in taken} == set(range(begin, begin + 5))


def test_every_character_of_a_login_token_counts() -> None:
    vector = ALL["login", "now"]["input"]
    token = vector["token"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="
    for position, character in enumerate(token):
        others = (
            alphabet if EXHAUSTIVE or position == len(token) - 1 else alphabet[position % 7 :: 7]
        )
        for other in set(others) - {character}:
            changed = token[:position] + other + token[position + 1 :]
            assert refused("login", {**vector, "token": changed})


@given(data=st.data())
def test_any_change_of_several_bytes_is_refused(data: st.DataObject) -> None:
    file, name = data.draw(st.sampled_from(sorted(SIGNED)))
    vector, field = ALL[file, name], SIGNED[file, name]
    original = bytes.fromhex(vector["input"][field])
    changed = bytearray(original)
    positions = st.integers(0, len(original) - 1)
    for position in data.draw(st.lists(positions, min_size=1, max_size=8)):
        changed[position] = data.draw(st.integers(0, 255))
    if bytes(changed) != original:
        assert refused(file, {**vector["input"], field: changed.hex()})


def test_a_changed_list_of_keys_loses_keys_and_gains_none() -> None:
    vector = ALL["key-list", "two-keys"]
    whole = set(vector["expect"]["serials"])
    for _, _, changed in changes(bytes.fromhex(vector["input"]["list"])):
        given = {**vector["input"], "list": changed.hex()}
        if not refused("key-list", given):
            assert set(OPERATIONS["key-list"](given)["serials"]) < whole

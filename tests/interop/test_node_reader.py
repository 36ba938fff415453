"""A reader in another language, written from PROTOCOL.md, agrees with ours on every vector."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from device_sdk.trust import verify_head
from device_sdk.wire import cose
from device_sdk.wire.content_key import open_hash
from device_sdk.wire.envelope import Copy
from device_sdk.wire.read_ack import READ, ReadAck
from tests.vectors.operations import PIN, roster
from tests.vectors.test_vectors import ALL

HERE = Path(__file__).parent
SAME_ROAD = {"too-large": "malformed"}
"""Kinds on one line of the vectors' README, which another implementation need not tell apart."""
Result = dict[str, Any]


def versions(lock: str) -> dict[str, str]:
    """Return the version of every package that a lock file names; nothing if it is not there."""
    if not (HERE / lock).exists():
        return {}
    packages = json.loads((HERE / lock).read_text())["packages"]
    return {path: package["version"] for path, package in packages.items() if path}


@pytest.fixture(scope="session")
def node_modules(node: str) -> None:
    """Bring the packages of package-lock.json to where the reader looks for them."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    if versions("node_modules/.package-lock.json") == versions("package-lock.json"):
        return
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command, check=False, cwd=HERE, capture_output=True, text=True, timeout=100
    )
    if done.returncode:
        pytest.skip(f"npm ci failed: {done.stderr.strip().splitlines()[-1:]}")


@pytest.fixture(scope="session")
def results(node: str, node_modules: None) -> dict[tuple[str, str], Result]:
    """What the reader made of every vector that it knows what to do with."""
    command = [node, str(HERE / "vectors.mjs"), str(HERE.parent / "vectors")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    lines = map(json.loads, done.stdout.splitlines())
    return {(line["file"], line["name"]): line for line in lines}


def as_node_says(value: Any) -> Any:
    """Return a value as JavaScript's JSON has it: no integer is exact beyond 2^53."""
    if isinstance(value, dict):
        return {key: as_node_says(item) for key, item in value.items()}
    return str(value) if isinstance(value, int) and abs(value) > 2**53 else value


def test_it_reads_what_must_be_read(results: dict[tuple[str, str], Result]) -> None:
    compared = 0
    for key, result in results.items():
        if "expect" not in ALL[key]:
            continue
        expect = ALL[key]["expect"]
        outcome = {field: value for field, value in result["outcome"].items() if field != "ack"}
        if key[0] == "merkle-tree":
            outcome["paths"] = {index: outcome["paths"][index] for index in expect["paths"]}
        assert outcome == as_node_says(expect), (key, result)
        compared += 1
    assert compared > 90


def test_it_refuses_what_must_be_refused_and_on_the_same_ground(
    results: dict[tuple[str, str], Result],
) -> None:
    compared = 0
    for key, result in results.items():
        vector = ALL[key]
        if "error" not in vector:
            continue
        for field in {"error", "because"} & vector.keys():
            said, expected = result.get(field), vector[field]
            assert SAME_ROAD.get(expected, expected) == said, (key, result)
        compared += 1
    assert compared > 200


def test_it_knows_every_vector_that_concerns_a_reader(
    results: dict[tuple[str, str], Result],
) -> None:
    files = {file for file, _ in results}
    assert files >= {"cbor", "public-key", "header", "copy", "dishonest-copy", "read-ack", "topic"}
    assert results.keys() == {key for key in ALL if key[0] in files}


def test_our_gateway_would_accept_its_read_acks(results: dict[tuple[str, str], Result]) -> None:
    assert verify_head(PIN, roster().head.data).root == PIN.root
    acks = 0
    for key, result in results.items():
        if "ack" not in result.get("outcome", {}):
            continue
        copy = Copy.decode(bytes.fromhex(ALL[key]["input"]["copy"]))
        unverified = cose.parse_signed(ReadAck, bytes.fromhex(result["outcome"]["ack"]))
        identity = roster().identity(unverified.claims.reader, unverified.kid)
        ack = unverified.verify(identity, PIN.aad)
        assert (ack.verdict, ack.reader) == (READ, copy.reader.reader)
        assert ack.digest.hex() == ALL[key]["expect"]["digest"]
        assert ack.shows_opening(copy.reader.open_hash)
        assert open_hash(ack.open_token) == copy.reader.open_hash
        acks += 1
    assert acks >= 8

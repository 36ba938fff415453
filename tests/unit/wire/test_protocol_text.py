"""PROTOCOL.md and the code say the same, as far as a program can tell."""

import re
from pathlib import Path

from device_sdk.wire import (
    anonymous,
    anonymous_header,
    envelope,
    header,
    join_offer,
    limits,
    login,
    suites,
    ticket,
)
from device_sdk.wire.cose import Record
from device_sdk.wire.epoch_key import TokenKeys
from device_sdk.wire.excuse import Excuse
from device_sdk.wire.join_request import JoinRequest
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.log_proof import MAX_LEAVES, Prove
from device_sdk.wire.login import Login
from device_sdk.wire.notice import MAX_EVENTS, EventKind, Notice
from device_sdk.wire.owner_grant import OwnerGrant, OwnerRequest
from device_sdk.wire.query import MAX_QUERIED, Query, Seen
from device_sdk.wire.read_ack import ReadAck
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_head import RootSuccession, RosterHead
from device_sdk.wire.state import State
from device_sdk.wire.token_request import TokenRequest
from device_sdk.wire.topics import Kind
from device_sdk.wire.totals_bill import BillAnswer, BillRequest
from device_sdk.wire.totals_share import Split
from device_sdk.wire.totals_sum import SumAnswer, SumReport, SumRequest
from device_sdk.wire.tree_head import TreeHead

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "device_sdk/wire/PROTOCOL.md").read_text()
RECORDS: list[type[Record]] = [
    BillAnswer,
    BillRequest,
    Excuse,
    JoinRequest,
    KeyStatement,
    Login,
    Notice,
    OwnerGrant,
    OwnerRequest,
    Prove,
    Query,
    ReadAck,
    RootSuccession,
    RosterHead,
    Seen,
    Split,
    State,
    SumAnswer,
    SumReport,
    SumRequest,
    TokenKeys,
    TokenRequest,
    TreeHead,
]


def section(title: str) -> str:
    """Return the text under a heading, up to the next one of the same depth."""
    start = TEXT.index(f"\n{title}")
    depth = title.split(maxsplit=1)[0]
    end = TEXT.find(f"\n{depth} ", start + len(title))
    return TEXT[start : end if end > 0 else None]


def rows(text: str) -> list[list[str]]:
    """Return the cells of every table row."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_clause_that_the_code_cites_is_there() -> None:
    clauses = set(re.findall(r"^##+ ([0-9]+(?:\.[0-9]+)?) ", TEXT, re.MULTILINE))
    cited: dict[str, list[str]] = {}
    for folder in ("device_sdk", "gateway", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            for numbers in re.findall(
                r"PROTOCOL ((?:[0-9]+(?:\.[0-9]+)?(?:, | and )?)+)", path.read_text()
            ):
                for number in re.findall(r"[0-9]+(?:\.[0-9]+)?", numbers):
                    cited.setdefault(number, []).append(path.name)
    assert cited
    assert {number: files for number, files in cited.items() if number not in clauses} == {}


def test_every_media_type_is_listed_and_used() -> None:
    listed = set(re.findall(r"`(application/sealgate-[a-z-]+\+cose)`", section("## 16 ")))
    headers = {header.TYP, anonymous_header.TYP}
    assert listed == {record.TYP for record in RECORDS} | headers
    for typ in listed - {header.TYP}:
        assert f'"{typ}"' in TEXT.replace("`", '"')


def test_every_private_label_is_listed() -> None:
    listed = {int(cells[0]): cells[2] for cells in rows(TEXT) if cells[0].startswith("-70")}
    used = {
        header._READER_ROOT,
        header._CEK_COMMITMENT,
        header._SEQUENCE,
        header._TREE_HEAD,
        header._READING,
        envelope._INCLUSION_PATH,
        envelope._OPEN_HASH,
        envelope._READER_ID,
        envelope._PROOF,
        anonymous_header._TOKEN_KEY,
        anonymous._TOKEN,
    }
    assert set(listed) == used


def test_the_reasons_are_those_of_the_code_final_and_retry() -> None:
    table = {cells[0].strip("`"): cells[1] for cells in rows(section("### 10.3 "))[2:]}
    assert table == {str(r): "final" if r.final else "retry" for r in Reason}


def test_every_event_and_every_kind_of_topic_is_described() -> None:
    for kind in EventKind:
        assert f'["{kind}",' in section("### 10.1 ")
    for topic in Kind:
        assert f"| `{topic}" in section("## 9 ")


def test_the_algorithms_are_those_of_the_code() -> None:
    numbers = {int(cells[2]) for cells in rows(section("## 3 "))[2:] if cells[2]}
    assert numbers == {suites.A256GCM, suites.RSA_OAEP_SHA256, suites.ES256, suites.PS256}


def test_the_limits_are_those_of_the_code() -> None:
    table = {cells[0]: cells[1].replace(",", "") for cells in rows(section("## 11 "))[2:]}
    statements: list[type[Record]] = [ReadAck, KeyStatement, RootSuccession, State, Login, Prove]
    statements += [OwnerGrant, OwnerRequest]
    batches: list[type[Record]] = [Notice, Query, Seen, Excuse, TokenKeys, TokenRequest]
    totals: list[type[Record]] = [BillRequest, BillAnswer, SumRequest, SumReport]
    assert {record.LIMIT for record in totals} == {limits.MAX_TOTALS}
    assert {Split.LIMIT, SumAnswer.LIMIT} == {limits.MAX_STATEMENT}
    assert {record.LIMIT for record in statements} == {limits.MAX_STATEMENT}
    assert {record.LIMIT for record in batches} == {limits.MAX_BATCH}
    assert MAX_EVENTS == MAX_QUERIED
    expected = {
        "payload": limits.MAX_PAYLOAD,
        "readers of a message": limits.MAX_READERS,
        "name": f"{limits.MAX_ID} characters",
        "header, encoded": limits.MAX_HEADER,
        "field -70006 of a header": limits.MAX_COMMITTED,
        "proof": limits.MAX_PROOF,
        "Reader, encoded": limits.MAX_READER_ENTRY,
        "Reader in a copy, encoded": limits.MAX_COPY_READER_ENTRY,
        "signature": limits.MAX_SIGNATURE,
        "ciphertext with tag": f"{limits.MIN_PADDED + limits.TAG_SIZE} to {limits.MAX_CIPHERTEXT}",
        "copy": limits.MAX_COPY,
        "envelope": limits.MAX_ENVELOPE,
        "public key, SPKI": suites.SPKI_LIMIT,
        "ack, key statement, succession, grant, owner request, state, login, prove": (
            limits.MAX_STATEMENT
        ),
        "join request": JoinRequest.LIMIT,
        "join offer; ticket": f"{join_offer.LIMIT}; {ticket.MAX_TICKET}",
        "notice, query, seen, excuse, token keys, token request": limits.MAX_BATCH,
        "events in a notice; messages in a query or seen": MAX_EVENTS,
        "roster head": RosterHead.LIMIT,
        "roster page; pages": f"{limits.MAX_ROSTER_PAGE}; {limits.MAX_ROSTER_PAGES}",
        "owners beside the root": limits.MAX_GRANTS,
        "excuses in a bundle": limits.MAX_EXCUSES,
        "key statements of a device": limits.MAX_KEY_STATEMENTS,
        "tree head": limits.MAX_TREE_HEAD,
        "entries of a log": limits.MAX_LOG_SIZE,
        "hashes of one path in a log's proof": limits.MAX_LOG_PATH,
        "entries in a prove": MAX_LEAVES,
        "certificate; certificates in a chain": (
            f"{limits.MAX_CERTIFICATE}; {limits.MAX_CERTIFICATES}"
        ),
        "readings of a total": limits.MAX_TOTALS_ITEMS,
        "request for a total, its answer, a sum's report": limits.MAX_TOTALS,
        "split, sum's answer": limits.MAX_STATEMENT,
        "tokens of a device for a period; elements in a request": limits.MAX_TOKENS,
        "keys in a TokenKeys": limits.MAX_TOKEN_KEYS,
        "lifetime (exp - now)": f"{limits.MAX_LIFETIME // limits.DAY} days",
        "difference between two clocks": f"{limits.CLOCK_SKEW // 60} minutes",
    }
    assert {name: table[name] for name in expected} == {k: str(v) for k, v in expected.items()}


def test_the_times_of_a_login_token_are_those_of_the_code() -> None:
    assert f"at most {login.TOKEN_VALIDITY} seconds" in section("## 12 ")
    assert f"iat - {limits.CLOCK_SKEW}" in section("## 12 ")


def test_every_vector_file_is_in_the_index() -> None:
    named = set(re.findall(r"`([a-z-]+\.json)`", section("## 16 ")))
    files = {path.name for path in (ROOT / "tests/vectors").glob("*.json")}
    assert named == files - {"keys.json", "fleet.json"}

"""Writes every vector file anew. Look at what changed: other implementations rely on these."""

import json
from collections.abc import Callable
from typing import Any

from tests.vectors.generate import (
    calculations,
    certificates,
    copies,
    dishonest,
    encoding,
    envelopes,
    headers,
    joining,
    logs,
    notices,
    proofs,
    public_keys,
    records,
    rosters,
    tickets,
    tokens,
    totals,
)
from tests.vectors.generate.fixed import VECTORS
from tests.vectors.generate.fleet import fleet_file
from tests.vectors.generate.vector import Vector

FILES: dict[str, tuple[str, Callable[[], list[Vector]]]] = {
    "anonymous-envelope": ("19.4", tokens.anonymous_envelope_vectors),
    "bill-answer": ("18.3", totals.bill_answer_vectors),
    "bill-request": ("18.3", totals.bill_request_vectors),
    "cbor": ("2", encoding.cbor_vectors),
    "certificates": ("12.2", certificates.certificates_vectors),
    "commitment": ("20.1", proofs.commitment_vectors),
    "content-key": ("5.3", calculations.content_key_vectors),
    "copy": ("6", copies.copy_vectors),
    "dishonest-copy": ("6.2", dishonest.dishonest_vectors),
    "envelope": ("5", envelopes.envelope_vectors),
    "excuse": ("8.5", records.excuse_vectors),
    "header": ("5.1", headers.header_vectors),
    "join-offer": ("12.3", tickets.join_offer_vectors),
    "join-request": ("8.2", joining.join_request_vectors),
    "key-list": ("8.1", joining.key_list_vectors),
    "key-statement": ("8.1", records.key_statement_vectors),
    "log-entry": ("8.6", logs.log_entry_vectors),
    "log-proof": ("10.5", logs.log_proof_vectors),
    "login": ("12", joining.login_vectors),
    "merkle-consistency": ("8.6", logs.merkle_consistency_vectors),
    "merkle-inclusion": ("5.2", calculations.merkle_inclusion_vectors),
    "merkle-tree": ("5.2", calculations.merkle_tree_vectors),
    "notice": ("10.1", notices.notice_vectors),
    "opening-proof": ("20.3", proofs.opening_proof_vectors),
    "owner-grant": ("8.4", rosters.owner_grant_vectors),
    "owner-request": ("8.4", rosters.owner_request_vectors),
    "padded-length": ("5.4", calculations.padded_length_vectors),
    "prove": ("10.5", logs.prove_vectors),
    "public-key": ("3", public_keys.public_key_vectors),
    "query": ("10.2", records.query_vectors),
    "range-proof": ("20.4", proofs.range_proof_vectors),
    "read-ack": ("7", records.read_ack_vectors),
    "root-succession": ("8.4", rosters.succession_vectors),
    "roster": ("8.3", rosters.roster_vectors),
    "roster-page": ("8.3", rosters.roster_page_vectors),
    "seen": ("10.2", records.seen_vectors),
    "split": ("18.4", totals.split_vectors),
    "state": ("10.4", records.state_vectors),
    "sum-answer": ("18.6", totals.sum_answer_vectors),
    "sum-report": ("18.5", totals.sum_report_vectors),
    "sum-request": ("18.5", totals.sum_request_vectors),
    "ticket": ("12.3", tickets.ticket_vectors),
    "token-issue": ("19.3", tokens.token_issue_vectors),
    "token-keys": ("19.2", tokens.token_keys_vectors),
    "token-request": ("19.3", tokens.token_request_vectors),
    "topic": ("9", encoding.topic_vectors),
    "tree-head": ("8.6", logs.tree_head_vectors),
    "unpad": ("5.4", calculations.unpad_vectors),
}


def build() -> dict[str, str]:
    """Return the text of every generated file by its name."""
    files: dict[str, Any] = {
        name: {"clause": clause, "vectors": make()} for name, (clause, make) in FILES.items()
    }
    files["fleet"] = fleet_file()
    return {
        f"{name}.json": json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        for name, value in files.items()
    }


def main() -> None:
    """Write all files."""
    for name, text in build().items():
        (VECTORS / name).write_text(text)


if __name__ == "__main__":
    main()

"""The verifier: a proof is for one message, and whatever is wrong with it is a wrong one."""

import sys
from dataclasses import replace
from typing import cast

import pytest
from structlog.testing import capture_logs

import device_sdk
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import ReadingPolicy
from gateway.examiner import examine
from gateway.reading_rule import Examined, Question
from tests.support.envelopes import NOW, Fleet
from tests.support.mailroom import key_of
from tests.support.readings import CELLAR, POLICY, committed, prover
from tests.unit.gateway.counter import Counter


def question_of(fleet: Fleet, policy: ReadingPolicy = POLICY) -> Question:
    message = fleet.seal(
        "thermo",
        ["hub"],
        reading=committed(policy=policy),
        prove=prover(fleet.pin.fleet_id),
    )
    return Question(
        key=key_of(message),
        header=message.envelope.body.header,
        digest=message.digest,
        proof=message.envelope.proof,
    )


def test_a_proof_is_for_one_message_of_one_fleet(fleet: Fleet) -> None:
    question, fleet_id = question_of(fleet), fleet.pin.fleet_id
    assert examine(question, fleet_id) is Examined.RIGHT
    header = question.header
    others = [
        replace(question, proof=question_of(fleet).proof),
        replace(question, digest=bytes(32)),
        *(
            replace(question, header=changed)
            for changed in (
                replace(header, sender="lock"),
                replace(header, channel="attic"),
                replace(header, sequence=header.sequence + 1),
                replace(header, reading=committed(216)),
                replace(header, reading=committed(policy=replace(POLICY, version=8))),
                replace(header, reading=committed(policy=replace(POLICY, unit="kelvin"))),
                replace(header, reading=committed(policy=replace(POLICY, low=-401, high=1249))),
                replace(header, reading=None),
            )
        ),
        *(
            replace(question, proof=proof)
            for proof in (
                *(b"", question.proof[:-1], question.proof + b"\0", question.proof[32:]),
                *(bytes(len(question.proof)), b"\xff" * len(question.proof)),
            )
        ),
    ]
    assert {examine(other, fleet_id) for other in others} == {Examined.WRONG}
    assert examine(question, bytes(16)) is Examined.WRONG


def test_every_byte_of_a_proof_counts(fleet: Fleet) -> None:
    fleet_id = fleet.pin.fleet_id
    question = question_of(fleet, replace(POLICY, low=215, high=216))
    assert examine(question, fleet_id) is Examined.RIGHT
    for position in range(len(question.proof)):
        changed = bytearray(question.proof)
        changed[position] ^= 1 << position % 8
        spoilt = replace(question, proof=bytes(changed))
        assert examine(spoilt, fleet_id) is Examined.WRONG, position


async def test_a_verifier_that_raises_is_a_refusal_and_the_examiner_goes_on(
    fleet: Fleet, counter: Counter
) -> None:
    honest = prover(fleet.pin.fleet_id)

    def verify(question: Question, fleet_id: bytes) -> Examined:
        """Verify as the gateway does, what is no proof for the first message."""
        first = not counter.clerk.asked
        counter.clerk(question, fleet_id)
        broken = replace(question, proof=cast(bytes, None)) if first else question
        return examine(broken, fleet_id)

    counter.examiner._verify = verify
    bad, good = (
        fleet.seal(
            "thermo",
            ["hub"],
            channel=CELLAR,
            expires=NOW + DAY,
            reading=committed(),
            prove=honest,
        )
        for _ in range(2)
    )
    with capture_logs() as logs:
        await counter.arrive(bad, good)
        assert await counter.answers(bad, good) == ["proof-invalid", "held"]
    assert "verifier_failed" in [one["event"] for one in logs]


async def test_without_the_library_nothing_is_examined_and_the_operator_hears_of_it(
    fleet: Fleet, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = fleet.seal(
        "thermo",
        ["hub"],
        channel=CELLAR,
        expires=NOW + DAY,
        reading=committed(),
        prove=prover(fleet.pin.fleet_id),
    )
    for name in [name for name in sys.modules if name.startswith("device_sdk.proofs")]:
        monkeypatch.delitem(sys.modules, name)  # as if nothing had been loaded yet
    monkeypatch.delattr(device_sdk, "proofs")
    monkeypatch.setitem(sys.modules, "rbcl", None)
    counter.examiner._verify = examine
    with capture_logs() as logs:
        await counter.arrive(message)
        assert await counter.answers(message) == ["quota"]
    (said,) = [one for one in logs if one["log_level"] == "error"]
    assert said["event"] == "proofs_not_verified"
    assert "sealgate[proofs]" in said["reason"]

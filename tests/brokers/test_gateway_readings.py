"""An admitted device whose program lies about its readings, at the embedded broker.

Which broker it is makes no difference to a proof: `tests.acceptance.test_readings` takes both.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.proofs import sealed_reading
from device_sdk.wire.header import Header
from device_sdk.wire.limits import DAY, MAX_PROOF
from device_sdk.wire.notice import EventKind
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_page import ChannelEntry
from device_sdk.wire.topics import Kind
from gateway import suspicion
from tests.brokers.gateway_bench import GatewayBench
from tests.support.envelopes import NOW, TOPICS, SealedMessage
from tests.support.readings import BLINDING, CELLAR, POLICY, PROOF_SIZE, committed, prover, rule

INBOX = TOPICS.all_of(Kind.INBOX)
Prove = Callable[[Header, bytes], bytes]


@pytest.fixture
async def cellar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayBench]:
    monkeypatch.setattr(suspicion, "STRIKES", 100)  # it is heard to the end
    bench = GatewayBench(tmp_path, None)
    bench.fleet.channels = {
        CELLAR: ChannelEntry(
            readers=("hub",), senders=("phone", "thermo-1"), lifetime=DAY, reading=rule()
        )
    }
    bench.write_bundle()
    async with bench.running():
        yield bench


def seal(
    bench: GatewayBench,
    prove: Prove,
    *,
    steps: int = 215,
    sender: str = "thermo-1",
    sequence: int = 1,
) -> SealedMessage:
    return bench.fleet.seal(
        sender,
        ["hub"],
        channel=CELLAR,
        expires=NOW + DAY,
        reading=committed(steps),
        prove=prove,
        sequence=sequence,
    )


def other_range(fleet_id: bytes, steps: int, low: int, high: int) -> Prove:
    """Prove another statement about the same commitment, which is true."""

    def prove(header: Header, digest: bytes) -> bytes:
        policy = replace(POLICY, low=low, high=high)
        changed = replace(header, reading=committed(steps, policy))
        return sealed_reading.prove(changed, digest, fleet_id, steps=steps, blinding=BLINDING)

    return prove


async def test_whatever_is_wrong_with_a_proof_is_refused_and_leaves_nothing(
    cellar: GatewayBench,
) -> None:
    fleet_id = cellar.fleet.pin.fleet_id
    honest = seal(cellar, prover(fleet_id))
    proof = honest.envelope.proof
    theirs = seal(cellar, prover(fleet_id), sender="phone").envelope.proof
    assert len(proof) == PROOF_SIZE
    bad: dict[str, SealedMessage] = {
        "none": seal(cellar, lambda *_: b""),
        "a byte": seal(cellar, lambda *_: b"\0"),
        "a byte less": seal(cellar, lambda *given: prover(fleet_id)(*given)[:-1]),
        "a byte more": seal(cellar, lambda *given: prover(fleet_id)(*given) + b"\0"),
        "as long as any": seal(cellar, lambda *_: bytes(MAX_PROOF)),
        "zeros": seal(cellar, lambda *_: bytes(PROOF_SIZE)),
        "of another message": seal(cellar, lambda *_: proof),
        "of another message in its sequence": seal(cellar, lambda *_: proof, sequence=2),
        "of another sender": seal(cellar, lambda *_: theirs),
        "of another fleet": seal(cellar, prover(bytes(16))),
        "of another number": seal(cellar, prover(fleet_id, 216)),
        "of a wider range": seal(
            cellar, other_range(fleet_id, 1251, POLICY.low, POLICY.high + 1), steps=1251
        ),
        "of a range of the same size": seal(
            cellar, other_range(fleet_id, 1251, POLICY.low + 1, POLICY.high + 1), steps=1251
        ),
    }
    thermo, hub = await cellar.device("thermo-1"), await cellar.device("hub")
    for name, message in bad.items():
        await thermo.send(message)
        refused = await thermo.told(EventKind.REFUSED, message)
        assert (refused.word, refused.digest) == (Reason.PROOF_INVALID, message.digest), name
        assert not cellar.in_files(message.message_id), name
    assert await cellar.retained(INBOX) == {}
    await thermo.send(honest)
    await thermo.told(EventKind.HELD, honest)
    assert await hub.copy(honest) == honest.copy("hub").encode()


async def test_an_envelope_that_somebody_gave_another_proof_is_held_once_its_sender_sends_it_again(
    cellar: GatewayBench,
) -> None:
    message = seal(cellar, prover(cellar.fleet.pin.fleet_id))
    thermo, hub = await cellar.device("thermo-1"), await cellar.device("hub")
    changed = replace(message.envelope, proof=bytes(PROOF_SIZE)).encode()
    await thermo.publish(message.topic, changed)
    await thermo.told(EventKind.REFUSED, message)
    assert not Reason.PROOF_INVALID.final
    await thermo.send(message)
    await thermo.told(EventKind.HELD, message)
    await hub.copy(message)
    await hub.read(message)
    await hub.cleared(message)


async def test_who_sends_wrong_proofs_slows_nobody_down_and_is_not_listened_to(
    cellar: GatewayBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspicion, "STRIKES", 3)
    thermo, phone = await cellar.device("thermo-1"), await cellar.device("phone")
    honest = prover(cellar.fleet.pin.fleet_id)
    flood = [seal(cellar, lambda *_: bytes(PROOF_SIZE)) for _ in range(20)]
    for message in flood:
        await thermo.send(message)
    other = seal(cellar, honest, sender="phone")
    await phone.send(other)
    await phone.told(EventKind.HELD, other)
    words = [(await thermo.told(EventKind.REFUSED, message)).word for message in flood]
    assert words.count(Reason.PROOF_INVALID) == 3
    assert words.count(Reason.QUOTA) == 17
    late = seal(cellar, honest)
    await thermo.send(late)
    assert (await thermo.told(EventKind.REFUSED, late)).word == Reason.QUOTA
    plain = cellar.fleet.seal("thermo-1", ["hub"])
    await thermo.send(plain)
    await thermo.told(EventKind.HELD, plain)

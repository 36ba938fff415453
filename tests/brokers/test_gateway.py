"""The gateway on every broker: a message's whole life, as devices at the broker see it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from device_sdk.wire.envelope import Envelope
from device_sdk.wire.key_statement import decode_key_list, encode_key_list
from device_sdk.wire.limits import DAY
from device_sdk.wire.notice import FINISHED, EventKind
from device_sdk.wire.read_ack import UNREADABLE
from device_sdk.wire.reasons import Reason
from device_sdk.wire.topics import Kind
from tests.brokers.gateway_bench import GatewayBench, eventually
from tests.support.envelopes import NOW, TOPICS, SealedMessage, made_up_key

INBOX = TOPICS.all_of(Kind.INBOX)


async def test_a_message_is_held_until_everybody_has_read_it_and_then_gone(
    bench: GatewayBench,
) -> None:
    message = bench.fleet.seal("thermo-1", ["hub", "phone"])
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        await thermo.send(message)
        held = await thermo.told(EventKind.HELD, message)
        assert held.digest == message.digest
        assert len(await bench.retained(INBOX)) == 2
        assert await hub.copy(message) == message.copy("hub").encode()
        await hub.read(message)
        await hub.cleared(message)
        await thermo.told(EventKind.READ, message)
        phone = await bench.device("phone")  # comes late: its copy has waited
        assert await phone.copy(message) == message.copy("phone").encode()
        await phone.read(message)
        await phone.cleared(message)
        assert await bench.retained(INBOX) == {}


async def test_after_the_last_read_no_sealed_byte_is_left_in_the_files_and_after_seen_no_id(
    bench: GatewayBench,
) -> None:
    message = bench.fleet.seal("thermo-1", ["hub"])
    ciphertext = message.envelope.body.ciphertext[64:128]
    wrapped = message.envelope.readers[0].wrapped_cek[64:128]
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        await thermo.send(message)
        await hub.copy(message)
        assert bench.in_files(ciphertext)
        assert bench.in_files(wrapped)
        await hub.read(message)
        await thermo.told(EventKind.READ, message)
        await eventually(lambda: not bench.in_files(ciphertext) and not bench.in_files(wrapped))
        assert bench.in_files(message.message_id)
        await thermo.publish(TOPICS.seen("thermo-1"), bench.fleet.seen("thermo-1", message))
        await eventually(lambda: not bench.in_files(message.message_id))
        await thermo.send(message)  # a replay finds the tombstone
        held = await thermo.until(lambda m: [e for e in thermo.events(m) if e.word == FINISHED])
        assert held[0].message_id == message.message_id
        assert await bench.retained(INBOX) == {}


async def test_an_unreadable_copy_is_cleared_and_its_ack_reaches_the_sender(
    bench: GatewayBench,
) -> None:
    message = bench.fleet.seal("thermo-1", ["hub"])
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        await thermo.send(message)
        await hub.copy(message)
        await hub.read(message, verdict=UNREADABLE)
        await hub.cleared(message)
        assert (await thermo.told(EventKind.UNREADABLE, message)).ack


async def test_a_message_sent_again_is_held_once_and_answered_every_time(
    bench: GatewayBench,
) -> None:
    message = bench.fleet.seal("thermo-1", ["hub"])
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        for times in (1, 2, 3):
            await thermo.send(message)
            await thermo.until(
                lambda _m, times=times: (
                    times  # type: ignore[misc]
                    == sum(
                        e.kind is EventKind.HELD for m in thermo.received for e in thermo.events(m)
                    )
                )
            )
        await hub.read(message)
        await thermo.told(EventKind.READ, message)
        assert sum(bool(m.payload) for m in hub.received) == 1


async def test_a_read_ack_that_comes_again_is_answered_by_another_clear(
    bench: GatewayBench,
) -> None:
    message = bench.fleet.seal("thermo-1", ["hub", "phone"])
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        await thermo.send(message)
        await hub.copy(message)
        for clears in (1, 2):
            await hub.read(message)
            await hub.until(
                lambda _m, clears=clears: (
                    clears  # type: ignore[misc]
                    == sum(not m.payload for m in hub.received)
                )
            )


async def test_an_excess_of_readers_gets_a_copy_each(bench: GatewayBench) -> None:
    names = [f"reader-{number:03}" for number in range(150)]
    bench.fleet.admit(*names)
    bench.write_bundle()
    message = bench.fleet.seal("thermo-1", names)
    async with bench.running():
        thermo = await bench.device("thermo-1")
        await thermo.send(message)
        await thermo.told(EventKind.HELD, message)
        assert set(await bench.retained(INBOX)) == {
            TOPICS.inbox(name, "thermo-1", message.message_id) for name in names
        }


# ---------------------------------------------------------------------------- refusals

Wrong = Callable[[GatewayBench], tuple[str, bytes, SealedMessage]]


def _as_is(message: SealedMessage) -> tuple[str, bytes, SealedMessage]:
    return message.topic, message.data, message


def _with(message: SealedMessage, envelope: Envelope) -> tuple[str, bytes, SealedMessage]:
    return message.topic, envelope.encode(), message


def changed_ciphertext(bench: GatewayBench) -> tuple[str, bytes, SealedMessage]:
    message = bench.fleet.seal("thermo-1", ["hub"])
    body = message.envelope.body
    changed = replace(body, ciphertext=bytes(1) + body.ciphertext[1:])
    return _with(message, replace(message.envelope, body=changed))


def fewer_readers(bench: GatewayBench) -> tuple[str, bytes, SealedMessage]:
    message = bench.fleet.seal("thermo-1", ["hub", "phone"])
    return _with(message, replace(message.envelope, readers=message.envelope.readers[:1]))


def another_topic(bench: GatewayBench) -> tuple[str, bytes, SealedMessage]:
    message = bench.fleet.seal("thermo-1", ["hub"])
    named = replace(message, message_id=b"another id here!")
    return TOPICS.send("thermo-1", named.message_id), message.data, named


def another_sender(bench: GatewayBench) -> tuple[str, bytes, SealedMessage]:
    message = bench.fleet.seal("hub", ["phone"])
    return TOPICS.send("thermo-1", message.message_id), message.data, message


def expired(bench: GatewayBench) -> tuple[str, bytes, SealedMessage]:
    return _as_is(bench.fleet.seal("thermo-1", ["hub"], expires=NOW - 3600))


def long_lived(bench: GatewayBench) -> tuple[str, bytes, SealedMessage]:
    return _as_is(bench.fleet.seal("thermo-1", ["hub"], expires=NOW + 45 * DAY))


def truncated(bench: GatewayBench) -> tuple[str, bytes, SealedMessage]:
    message = bench.fleet.seal("thermo-1", ["hub"])
    return message.topic, message.data[:-1], message


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (changed_ciphertext, Reason.BAD_SIGNATURE),
        (fewer_readers, Reason.READERS_CHANGED),
        (another_topic, Reason.TOPIC_MISMATCH),
        (another_sender, Reason.TOPIC_MISMATCH),
        (expired, Reason.EXPIRED),
        (long_lived, Reason.LIFETIME),
        (truncated, Reason.MALFORMED),
    ],
)
async def test_what_is_refused_is_answered_with_the_reason_and_leaves_nothing(
    bench: GatewayBench, wrong: Wrong, reason: Reason
) -> None:
    topic, payload, message = wrong(bench)
    async with bench.running():
        thermo = await bench.device("thermo-1")
        await thermo.publish(topic, payload)
        assert (await thermo.told(EventKind.REFUSED, message)).word == reason
        assert await bench.retained(INBOX) == {}
        assert not bench.in_files(message.message_id)


async def test_a_forged_or_crossed_read_ack_clears_nothing(bench: GatewayBench) -> None:
    message = bench.fleet.seal("thermo-1", ["hub", "phone"])
    own_topic = TOPICS.read("hub", "thermo-1", message.message_id)
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        await thermo.send(message)
        await hub.copy(message)
        await hub.read(message, signer=bench.fleet.members["phone"].identity)
        await hub.publish(own_topic, bench.fleet.read_ack(message, "phone"))
        await hub.read(message, open_token=bytes(32))
        await hub.read(message, digest=bytes(32))
        await hub.publish(own_topic, b"nonsense")
        # Read acks are judged in order: when a good one has been, these have been too.
        later = bench.fleet.seal("thermo-1", ["hub"])
        await thermo.send(later)
        await hub.copy(later)
        await hub.read(later)
        await hub.cleared(later)
        assert len(await bench.retained(INBOX)) == 2


# ---------------------------------------------------------------------------- questions


async def test_a_query_is_answered_with_what_became_of_everything_and_how_much_waits(
    bench: GatewayBench,
) -> None:
    held, read = (bench.fleet.seal("thermo-1", ["hub"]) for _ in range(2))
    unknown = bench.fleet.seal("thermo-1", ["hub"])
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        await thermo.send(held)
        await thermo.send(read)
        await hub.copy(read)
        await hub.read(read)
        await thermo.told(EventKind.READ, read)
        query = bench.fleet.query("thermo-1", sent=[held, read, unknown])
        answer = await thermo.answer_to(query)
        kinds = {(e.kind, e.message_id) for notice in answer for e in notice.events}
        assert kinds == {
            (EventKind.HELD, held.message_id),
            (EventKind.HELD, read.message_id),
            (EventKind.READ, read.message_id),
            (EventKind.UNKNOWN, unknown.message_id),
        }
        (last,) = await hub.answer_to(bench.fleet.query("hub"))
        assert (last.owed, last.events) == (1, ())


async def test_a_copy_that_a_reader_asks_for_is_published_again(bench: GatewayBench) -> None:
    message = bench.fleet.seal("thermo-1", ["hub"])
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        await thermo.send(message)
        await hub.copy(message)
        await hub.answer_to(bench.fleet.query("hub", wanted=[message]))
        assert (
            sum(
                bool(m.payload) and m.topic.startswith(TOPICS.inbox_of("hub")[:-3])
                for m in hub.received
            )
            == 2
        )


async def test_a_forged_query_gets_no_answer(bench: GatewayBench) -> None:
    async with bench.running():
        hub = await bench.device("hub")
        forged = bench.fleet.query("hub", signer=bench.fleet.members["phone"].identity)
        await hub.publish(TOPICS.query("hub"), forged)
        await hub.answer_to(bench.fleet.query("hub"))
        assert len([m for m in hub.received if hub.notice(m)]) == 1


# ---------------------------------------------------------------------------- trust


async def test_roster_pages_and_keys_stand_at_the_broker_for_devices_to_verify(
    bench: GatewayBench,
) -> None:
    async with bench.running():
        standing = await bench.retained(TOPICS.all_of(Kind.ROSTER), TOPICS.all_of(Kind.KEYS))
    assert set(standing) == {
        TOPICS.roster(),
        *(topic for topic in standing if topic.startswith(f"{TOPICS.roster()}/")),
        *map(TOPICS.keys, ("thermo-1", "hub", "phone")),
    }
    statement = bench.fleet.members["hub"].statement
    assert decode_key_list(standing[TOPICS.keys("hub")]) == [statement]


async def test_an_announced_reader_key_is_published_beside_the_older_ones(
    bench: GatewayBench,
) -> None:
    member = bench.fleet.members["hub"]
    statement = member.state_key(made_up_key(), serial=NOW)
    async with bench.running():
        hub = await bench.device("hub", TOPICS.keys("hub"))
        await hub.publish(TOPICS.announce("hub"), statement)
        both = encode_key_list([member.statement, statement])
        await hub.until(lambda m: m.payload == both)


async def test_another_devices_key_announced_as_ones_own_changes_nothing(
    bench: GatewayBench,
) -> None:
    theirs = bench.fleet.members["phone"].statement
    own = bench.fleet.members["hub"].state_key(made_up_key(), serial=NOW)
    async with bench.running():
        hub = await bench.device("hub", TOPICS.keys("hub"))
        await hub.publish(TOPICS.announce("hub"), theirs)
        await hub.publish(TOPICS.announce("hub"), own)
        await hub.until(lambda m: own in m.payload)
        assert not any(theirs in m.payload for m in hub.received)


async def test_a_newer_bundle_is_published_and_acted_on(bench: GatewayBench) -> None:
    async with bench.running():
        watching = await bench.snooper(TOPICS.all_of(Kind.ROSTER), TOPICS.all_of(Kind.KEYS))
        old = await watching.until(lambda m: m.topic.startswith(f"{TOPICS.roster()}/") and m.topic)
        bench.fleet.admit("late")
        bench.fleet.revoke("phone")
        bench.write_bundle()
        await watching.until(lambda m: m.topic == TOPICS.keys("late"))
        await watching.until(lambda m: m.topic == old and not m.payload)
        standing = await bench.retained(TOPICS.all_of(Kind.ROSTER))
        assert len(standing) == 2
        assert old not in standing
        late, hub = await bench.device("late"), await bench.device("hub")
        message = bench.fleet.seal("late", ["hub", "phone"])
        await late.send(message)
        await hub.copy(message)
        excused = await late.told(EventKind.EXCUSED, message)
        assert excused.excusal is not None
        assert excused.excusal.readers == ("phone",)


async def test_a_revoked_reader_no_longer_keeps_a_message_from_ending(
    bench: GatewayBench,
) -> None:
    message = bench.fleet.seal("thermo-1", ["hub", "phone"])
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        watching = await bench.snooper(TOPICS.inbox_of("phone"))
        await thermo.send(message)
        await hub.copy(message)
        await hub.read(message)
        await watching.until(lambda m: m.payload)
        bench.fleet.revoke("phone")
        bench.write_bundle()
        await thermo.told(EventKind.EXCUSED, message)
        await watching.until(lambda m: not m.payload)

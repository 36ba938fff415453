"""Everything bad that a sender can publish, on every broker: a reason for it, and nothing left."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cbor2

from device_sdk.identity import Identity
from device_sdk.wire.envelope import Body, Envelope, Reader
from device_sdk.wire.limits import DAY
from device_sdk.wire.notice import EventKind
from device_sdk.wire.reasons import Reason
from device_sdk.wire.topics import Kind
from tests.brokers.gateway_bench import GatewayBench
from tests.support.envelopes import NOW, TOPICS, Fleet, SealedMessage

INBOX = TOPICS.all_of(Kind.INBOX)
MAX_PAYLOAD, MAX_READERS = 1000, 2
TAG = b"\xd8\x60"  # COSE_Encrypt in its shortest form

Bad = tuple[bytes, SealedMessage]


def flipped(message: SealedMessage, part: bytes) -> Bad:
    """Return the envelope with one bit of a part of it changed."""
    at = message.data.index(part)
    changed = bytes([message.data[at] ^ 1])
    return message.data[:at] + changed + message.data[at + 1 :], message


def as_is(message: SealedMessage) -> Bad:
    return message.data, message


def with_body(message: SealedMessage, body: Body) -> Bad:
    return Envelope(body=body, readers=message.envelope.readers).encode(), message


def with_readers(message: SealedMessage, readers: Sequence[Reader]) -> Bad:
    return Envelope(body=message.envelope.body, readers=tuple(readers)).encode(), message


def stolen_name(fleet: Fleet) -> Bad:
    thief, thermo = Identity.generate(), fleet.members["thermo-1"].identity
    thief = replace(thief, public=replace(thief.public, kid=thermo.kid))
    return as_is(fleet.seal("thermo-1", ["hub"], signer=thief))


def changed_expiry(fleet: Fleet) -> Bad:
    message = fleet.seal("thermo-1", ["hub"])
    body = message.envelope.body
    header = replace(body.header, expires=body.header.expires + 1)
    return with_body(message, replace(body, header=header, protected=header.encode()))


def reordered(fleet: Fleet) -> Bad:
    message = fleet.seal("thermo-1", ["hub", "phone"])
    return with_readers(message, message.envelope.readers[::-1])


def added(fleet: Fleet) -> Bad:
    message = fleet.seal("thermo-1", ["hub"])
    return with_readers(
        message, [*message.envelope.readers, *fleet.seal("thermo-1", ["phone"]).envelope.readers]
    )


def readdressed(fleet: Fleet) -> Bad:
    message = fleet.seal("thermo-1", ["hub"])
    return with_readers(message, [fleet._wrap("phone", message.cek, message.message_id)])


def unlisted_reader(fleet: Fleet) -> Bad:
    fleet.admit("stranger")
    message = fleet.seal("thermo-1", ["hub", "stranger"])
    del fleet.members["stranger"], fleet.entries["stranger"]
    return as_is(message)


def broken(change: Callable[[bytes], bytes]) -> Callable[[Fleet], Bad]:
    """Return what writes a good envelope's bytes in another way."""

    def make(fleet: Fleet) -> Bad:
        message = fleet.seal("thermo-1", ["hub"])
        assert message.data.startswith(TAG + b"\x84")
        return change(message.data), message

    return make


def key_twice(data: bytes) -> bytes:
    unprotected = cbor2.dumps(cbor2.loads(data).value[1])
    assert (data.count(unprotected), unprotected[:1]) == (1, b"\xa1")
    return data.replace(unprotected, b"\xa2" + 2 * unprotected[1:])


def with_ciphertext(value: object) -> Callable[[bytes], bytes]:
    """Return what puts another value into the place of the ciphertext."""

    def change(data: bytes) -> bytes:
        protected, unprotected, _, readers = cbor2.loads(data).value
        return TAG + cbor2.dumps([protected, unprotected, value, readers])

    return change


BAD: dict[str, tuple[Callable[[Fleet], Bad], Reason]] = {
    "unlisted sender's key": (
        lambda f: as_is(f.seal("thermo-1", ["hub"], signer=Identity.generate())),
        Reason.SENDER_UNKNOWN,
    ),
    "another's signature": (stolen_name, Reason.BAD_SIGNATURE),
    "reader not in the roster": (unlisted_reader, Reason.READER_UNKNOWN),
    "reader key that ends first": (
        lambda f: as_is(f.seal("thermo-1", ["short"])),
        Reason.READER_KEY_EXPIRES,
    ),
    "reader key that has ended": (
        lambda f: as_is(f.seal("thermo-1", ["ended"], expires=NOW + DAY)),
        Reason.READER_KEY_UNKNOWN,
    ),
    "changed header": (changed_expiry, Reason.BAD_SIGNATURE),
    "changed ciphertext": (
        lambda f: flipped(m := f.seal("thermo-1", ["hub"]), m.envelope.body.ciphertext),
        Reason.BAD_SIGNATURE,
    ),
    "changed wrapped key": (
        lambda f: flipped(m := f.seal("thermo-1", ["hub"]), m.envelope.readers[0].wrapped_cek),
        Reason.READERS_CHANGED,
    ),
    "reader added": (added, Reason.READERS_CHANGED),
    "readers in another order": (reordered, Reason.MALFORMED),
    "re-addressed": (readdressed, Reason.READERS_CHANGED),
    "no readers": (lambda f: as_is(f.seal("thermo-1", [])), Reason.MALFORMED),
    "payload over the limit": (
        lambda f: as_is(f.seal("thermo-1", ["hub"], bytes(2 * MAX_PAYLOAD))),
        Reason.TOO_LARGE,
    ),
    "readers over the limit": (
        lambda f: as_is(f.seal("thermo-1", ["ended", "hub", "phone"])),
        Reason.TOO_LARGE,
    ),
    "expired": (
        lambda f: as_is(f.seal("thermo-1", ["hub"], expires=NOW - 1)),
        Reason.EXPIRED,
    ),
    "lifetime over the limit": (
        lambda f: as_is(f.seal("thermo-1", ["hub"], expires=NOW + 45 * DAY)),
        Reason.LIFETIME,
    ),
    "truncated": (broken(lambda data: data[:-1]), Reason.MALFORMED),
    "trailing byte": (broken(lambda data: data + b"\0"), Reason.MALFORMED),
    "tag longer than needed": (
        broken(lambda data: b"\xd9\0\x60" + data[2:]),
        Reason.MALFORMED,
    ),
    "array of no fixed length": (
        broken(lambda data: TAG + b"\x9f" + data[3:] + b"\xff"),
        Reason.MALFORMED,
    ),
    "map with a key twice": (broken(key_twice), Reason.MALFORMED),
    "text for bytes": (broken(with_ciphertext("x" * 272)), Reason.MALFORMED),
    "float": (broken(with_ciphertext(1.5)), Reason.MALFORMED),
}


def admit_readers_with_short_keys(fleet: Fleet) -> None:
    for name, until in (("short", NOW + DAY), ("ended", NOW - 3600)):
        member = fleet.admit(name)
        statement = member.state_key(member.reader_spki, serial=NOW - DAY, not_after=until)
        fleet.members[name] = replace(member, statement=statement)


async def test_whatever_is_wrong_with_an_envelope_is_answered_by_name_and_leaves_nothing(
    bench: GatewayBench,
) -> None:
    admit_readers_with_short_keys(bench.fleet)
    bench.write_bundle()
    async with bench.running(max_payload=MAX_PAYLOAD, max_readers=MAX_READERS):
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        answers, expected = {}, {}
        for name, (make, reason) in BAD.items():
            data, message = make(bench.fleet)
            await thermo.publish(message.topic, data)
            answers[name] = (await thermo.told(EventKind.REFUSED, message)).word
            expected[name] = reason
            assert not bench.in_files(message.message_id), name
        assert answers == expected
        assert await bench.retained(INBOX) == {}
        good = bench.fleet.seal("thermo-1", ["hub"], b"")  # and empty, which is allowed
        await thermo.send(good)
        await hub.copy(good)


async def test_an_id_is_one_messages_for_its_sender_and_anybodys_for_another(
    bench: GatewayBench,
) -> None:
    fleet = bench.fleet
    first = fleet.seal("thermo-1", ["hub"], b"20")
    other = fleet.seal("thermo-1", ["hub"], b"21", message_id=first.message_id)
    theirs = fleet.seal("phone", ["hub"], message_id=first.message_id)
    async with bench.running():
        thermo, phone = await bench.device("thermo-1"), await bench.device("phone")
        hub = await bench.device("hub")
        await thermo.send(first)
        await hub.copy(first)
        await thermo.send(other)
        refused = await thermo.told(EventKind.REFUSED, other)
        assert (refused.word, refused.digest) == (Reason.ID_REUSED, other.digest)
        await phone.send(theirs)
        await phone.told(EventKind.HELD, theirs)
        await hub.read(first)
        await hub.cleared(first)
        topic = TOPICS.inbox("hub", "phone", theirs.message_id)
        assert await bench.retained(INBOX) == {topic: theirs.copy("hub").encode()}


async def test_a_sender_that_the_owner_revoked_meanwhile_is_refused(bench: GatewayBench) -> None:
    message = bench.fleet.seal("thermo-1", ["hub"])
    async with bench.running():
        watching = await bench.snooper(TOPICS.roster())
        thermo = await bench.device("thermo-1")
        standing = await watching.until(lambda m: m.payload)
        bench.fleet.revoke("thermo-1")
        bench.write_bundle()
        await watching.until(lambda m: m.payload != standing)
        await thermo.send(message)
        refused = await thermo.told(EventKind.REFUSED, message)
        assert refused.word == Reason.SENDER_INACTIVE
        assert await bench.retained(INBOX) == {}

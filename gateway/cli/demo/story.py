"""The story of one message: sealed by a sensor, held, read by three, and gone.

Everything in it is done by commands in processes of their own. This module calls them, looks at
the broker as a snooper does and into the gateway's files as a thief would, and compares.
"""

import json
import secrets
import time
from collections.abc import Collection
from typing import Any

from device_sdk.wire.topics import Kind, Topics
from gateway.cli.demo.facts import becomes_true, found_in, found_in_files, secrets_of
from gateway.cli.demo.processes import Running, Workshop
from gateway.cli.demo.readings import measure
from gateway.cli.demo.screen import Screen
from gateway.cli.demo.snooper import Snooper
from gateway.cli.demo.stage import GATEWAY, LATE, READERS, SENDER, Stage, do

_TOPICS = Topics()
_SHORT_ID = 8


class Story:
    """One message's way. Each method is a chapter, in the order of their lines."""

    def __init__(self, shop: Workshop, screen: Screen, stage: Stage, snooper: Snooper) -> None:
        self._shop, self._screen = shop, screen
        self._stage, self._snooper = stage, snooper
        self._marker = f"marker-{secrets.token_hex(8)}"
        self._payload = ""
        self._id = ""
        self._secrets: dict[str, bytes] = {}

    def tell(self) -> None:
        """Tell it. Raises DemoError at the first fact that does not hold."""
        sending = self._seal()
        self._snoop()
        for number, reader in enumerate(READERS[:-1], start=1):
            self._read(reader, still_owing=READERS[number:])
        self._wait_for_the_late_one()
        self._read(LATE, still_owing=())
        self._learn_the_outcome(sending)
        self._find_nothing()

    def _seal(self) -> Running:
        self._screen.step(f"{SENDER} measures this machine and seals the values to three readers")
        readings = measure()
        self._payload = json.dumps({**readings.as_record(), "marker": self._marker})
        self._screen.values([*readings.for_people(), ("a marker to look for", self._marker)])
        to = [word for reader in READERS for word in ("--to", reader)]
        arguments = ("device", "send", "--dir", f"./{SENDER}", *to, "--wait-read", "60", "--json")
        self._screen.command(" ".join([*arguments, "-"]))
        sending = self._shop.start(*arguments, "-", text=self._payload)
        with self._screen.waiting("sealing, sending, waiting for the gateway's word ..."):
            held = json.loads(sending.line())
        self._id = held["message_id"]
        self._screen.fact(
            f"held: {GATEWAY} says, signed, that {self._short} is on its disk",
            held["state"] == "held",
        )
        return sending

    def _snoop(self) -> None:
        screen = self._screen
        screen.step("A snooper with every right on the broker sees who, when and how much")
        envelope, *_ = self._snooper.wait_for(lambda packet: self._is(Kind.SEND, packet.topic))
        copies = self._snooper.wait_for(
            lambda packet: self._is(Kind.INBOX, packet.topic), len(READERS)
        )
        screen.table(
            ["topic", "bytes ", "has the marker"],
            [
                [
                    packet.topic.replace(self._id, f"{self._short}…"),
                    f"{len(packet.payload):,}",
                    "YES" if self._marker.encode() in packet.payload else "no",
                ]
                for packet in (envelope, *copies)
            ],
        )
        self._secrets = secrets_of(envelope.payload)
        screen.bytes("the ciphertext begins with", self._secrets["ciphertext"], lines=2)
        screen.fact("but not what: the marker is nowhere in it", not self._marker_was_seen())
        standing = self._standing()
        screen.copies(READERS, standing)
        screen.fact("one retained copy for each reader", standing == set(READERS))
        screen.fact(
            "the gateway's files hold it now: the search at the end would find it",
            found_in_files(self._stage.gateway_data, self._secrets) == self._secrets.keys(),
        )

    def _read(self, reader: str, *, still_owing: Collection[str]) -> None:
        when = "comes at last and" if reader == LATE else "connects and"
        self._screen.step(f"{reader} {when} opens its copy")
        arguments = ("device", "read", "--dir", f"./{reader}", "--count", "1", "--json")
        (line,) = do(self._shop, self._screen, *arguments)
        message = json.loads(line)
        self._screen.quote(message["text"])
        self._screen.fact(
            f"what {SENDER} measured, to the last byte",
            (message["sender"], message["text"]) == (SENDER, self._payload),
        )
        vanished = becomes_true(lambda: self._standing() == set(still_owing))
        self._screen.copies(READERS, self._standing())
        self._screen.fact("its read ack was accepted, and its copy has vanished", vanished)

    def _wait_for_the_late_one(self) -> None:
        self._screen.step(f"{LATE} has been switched off all the while")
        arguments = ("messages", "list", "--data", f"./{GATEWAY}", "--json")
        (line,) = do(self._shop, self._screen, *arguments)
        listed = json.loads(line)
        self._screen.fact(
            f"the gateway still holds {self._short}, for {LATE} alone; its copy stands",
            (listed["id_prefix"], listed["owing"]) == (self._short, [LATE])
            and self._standing() == {LATE},
        )

    def _learn_the_outcome(self, sending: Running) -> None:
        self._screen.step(f"{SENDER} learns the outcome, and verifies every read ack itself")
        with self._screen.waiting("waiting for the notice ..."):
            outcome = json.loads(sending.line())
            sending.finish()
        self._screen.table(
            ["reader", "verdict", "at"],
            [
                [slot["reader"], slot["verdict"], _clock(slot["read_at"])]
                for slot in outcome["readers"]
            ],
        )
        self._screen.fact(
            "three read acks: signed by the readers, proving that each had the key",
            _read_by(outcome) == set(READERS),
        )
        arguments = ("device", "sent", "--dir", f"./{SENDER}", self._short, "--json")
        (line,) = do(self._shop, self._screen, *arguments)
        self._screen.fact(
            "it still knows, although the process that sent has ended",
            _read_by(json.loads(line)) == set(READERS),
        )

    def _find_nothing(self) -> None:
        screen, data = self._screen, self._stage.gateway_data
        screen.step("Gone: a search for what is left")
        screen.fact(
            "at the broker: no retained message of it, under any topic",
            not [
                topic
                for topic, payload in self._snooper.standing().items()
                if self._id in topic or found_in(payload, self._secrets)
            ],
        )
        with screen.waiting("waiting for the gateway to erase it ..."):
            erased = becomes_true(lambda: not found_in_files(data, self._secrets))
        screen.fact("in the gateway's files: no ciphertext, no wrapped key, no message id", erased)
        screen.fact(
            f"in all {len(self._snooper.packets)} packets that the snooper saw: no marker",
            not self._marker_was_seen(),
        )
        screen.fact("in the gateway's log: no marker", self._marker not in self._stage.gateway.log)

    @property
    def _short(self) -> str:
        return self._id[:_SHORT_ID]

    def _is(self, kind: Kind, topic: str) -> bool:
        return topic.startswith(f"{_TOPICS.prefix}/{kind}/") and topic.endswith(self._id)

    def _standing(self) -> set[str]:
        """Return the readers whose copies the broker holds."""
        topics = [topic for topic in self._snooper.standing() if self._is(Kind.INBOX, topic)]
        return {_TOPICS.parse(topic).owner for topic in topics}

    def _marker_was_seen(self) -> bool:
        marker = self._marker.encode()
        return any(
            marker in packet.payload or marker in packet.topic.encode()
            for packet in self._snooper.packets
        )


def _read_by(outcome: Any) -> set[str]:
    return {slot["reader"] for slot in outcome["readers"] if slot["verdict"] == "read"}


def _clock(seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))

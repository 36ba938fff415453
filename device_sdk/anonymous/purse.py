"""Getting tokens for anonymous messages, and spending each once (PROTOCOL 19.3, 19.5). No sockets.

``now`` is Unix seconds, ``tick`` seconds of a monotonic clock. What is drawn for a request is on
disk before it is asked for, and a token leaves the disk before its message goes out: so that a
crash can cost a token, and never use one twice.
"""

import logging
import os
from collections.abc import Mapping

from device_sdk.anonymous.keys import TokenKeys
from device_sdk.anonymous.store import Token, TokenStore
from device_sdk.link.port import Publish
from device_sdk.pace import Backoff, Pace
from device_sdk.proofs.errors import ProofError, ProofsNotInstalledError
from device_sdk.times import as_datetime
from device_sdk.trust import Roster
from device_sdk.wire import cose
from device_sdk.wire.anonymous import TOKEN_SIZE
from device_sdk.wire.anonymous_rule import AnonymousRule
from device_sdk.wire.epoch_key import EpochKey
from device_sdk.wire.limits import MAX_LIFETIME, POINT_SIZE
from device_sdk.wire.suites import Signer
from device_sdk.wire.token_request import Denial, TokenIssue, TokenRequest, request_digest
from device_sdk.wire.topics import Topics

ASK_AGAIN = Backoff(first=5.0, most=300.0)
_PAIR = TOKEN_SIZE + POINT_SIZE
"""Bytes of a token and its blind."""
_NO_RULES: Mapping[str, AnonymousRule] = {}

logger = logging.getLogger(__name__)


class Purse:
    """The tokens of one device."""

    def __init__(
        self,
        store: TokenStore,
        keys: TokenKeys,
        *,
        name: str,
        signer: Signer,
        aad: bytes,
        topics: Topics,
    ) -> None:
        self._store, self.keys = store, keys
        self._name, self._signer, self._aad = name, signer, aad
        self._topic = topics.blind(name)
        self._paces: dict[bytes, Pace] = {}
        self._denials: dict[bytes, str] = {}
        self._rules: Mapping[str, AnonymousRule] = _NO_RULES
        self._gateway = ""
        self._is_able = True

    # What is asked for.

    def due(self, gateway: str, roster: Roster, now: int, tick: float) -> list[Publish]:
        """Return the requests to publish now. ``gateway`` is the one that is online, or empty."""
        self._gateway, self._rules = gateway, self.keys.rules(roster)
        wanted = self._wanted(now) if gateway else []
        self._paces = {key.key_id: self._paces.get(key.key_id, Pace()) for key in wanted}
        said = []
        for key in wanted:
            pace = self._paces[key.key_id]
            if pace.due <= tick and (request := self._request(key)) is not None:
                pace.tried(tick, ASK_AGAIN)
                said.append(Publish(topic=self._topic, payload=request))
        return said

    def next_due(self) -> float | None:
        """Return the tick at which `due` has something; None if nothing is wanted."""
        return min((pace.due for pace in self._paces.values()), default=None)

    def retry_now(self) -> None:
        """Ask at once: there is a new connection, or a gateway is back."""
        self._paces.clear()

    def _wanted(self, now: int) -> list[EpochKey]:
        """Return the online gateway's keys whose tokens are not here yet: of this period's and the
        next one's, as many as it shows."""
        if not self._is_able:
            return []
        return [
            key
            for channel, rule in self._rules.items()
            for gateway, key in self._store.keys_of(channel)
            if gateway == self._gateway
            and key.ends > now
            and rule.has_period(key.begins, key.ends)
            and self._is_open(key)
        ]

    def _is_open(self, key: EpochKey) -> bool:
        return self._store.request(key.key_id) != b""

    def _request(self, key: EpochKey) -> bytes | None:
        secrets = self._store.request(key.key_id)
        try:
            if secrets is None:
                secrets = _draw(self._rules[key.channel].tokens)
                self._store.add_request(key.key_id, secrets)
            blinded = _blinded(secrets)
        except ProofsNotInstalledError as error:
            logger.error("anonymous channels cannot be written to: %s", error)
            self._is_able = False
            return None
        request = TokenRequest(device=self._name, key_id=key.key_id, blinded=blinded)
        return cose.sign(request, self._signer, self._aad)

    # What comes.

    def take_issue(self, data: bytes) -> None:
        """Take in an answer, from whomever: it proves itself.

        Raises:
            WireError: it is none.
            ProofError: it was not made with the key that the gateway shows.
        """
        issue = TokenIssue.decode(data)
        secrets = self._store.request(issue.key_id)
        if not secrets or request_digest(issue.key_id, _blinded(secrets)) != issue.request:
            return  # answered before, or not what this device has asked for
        if issue.denial:
            self._deny(issue)
            return
        self._denials.pop(issue.key_id, None)
        key = self._key(issue.key_id)
        if key is not None:
            outputs = _finalize(secrets, issue, key)
            pairs = zip(_tokens(secrets), outputs, strict=True)
            self._store.take_issue(issue.key_id, list(pairs))
            self._paces.pop(issue.key_id, None)

    def _deny(self, issue: TokenIssue) -> None:
        if self._denials.get(issue.key_id) != issue.denial:
            logger.warning("no tokens for anonymous messages are issued: %s", issue.denial)
        self._denials[issue.key_id] = issue.denial

    def _key(self, key_id: bytes) -> EpochKey | None:
        found = (key for channel in self._rules for _, key in self._store.keys_of(channel))
        return next((key for key in found if key.key_id == key_id), None)

    # What is spent.

    def spend(self, channel: str, rule: AnonymousRule, now: int) -> Token | None:
        """Take out a token of the rule's present period, for good; None if there is none."""
        return self._store.spend(channel, now, rule.epoch)

    def why(self, channel: str, rule: AnonymousRule, now: int) -> tuple[str, bool]:
        """Say why there is no token ("" if nobody knows), and whether waiting a moment may help."""
        if not self._is_able:
            return "this installation lacks what it takes: pip install 'sealgate[proofs]'", False
        for _, key in self._store.keys_of(channel):
            if (key.begins, key.ends) != rule.period(now):
                continue
            if self._store.request(key.key_id) == b"":
                ends = f"{as_datetime(key.ends):%Y-%m-%d %H:%M} UTC"
                return f"all of this period are spent; the next one begins at {ends}", False
            denial = self._denials.get(key.key_id, "")
            if denial:
                return f"the gateway issues none ({denial})", denial == Denial.ROSTER_EXPIRED
        return "", True

    def left(self, channel: str, rule: AnonymousRule, now: int) -> int:
        """Return how many tokens of the rule's present period are left."""
        period = rule.period(now)
        keys = [key for _, key in self._store.keys_of(channel) if (key.begins, key.ends) == period]
        return sum(self._store.count(key.key_id) for key in keys)

    def forget(self, trusted: int) -> None:
        """Drop what nobody needs any more: keys are kept to compare messages with them."""
        self._store.forget(trusted, trusted - MAX_LIFETIME)


def _draw(count: int) -> bytes:
    """Return so many random tokens, each followed by a random blind."""
    from device_sdk.proofs.group import RISTRETTO255

    pairs = ((os.urandom(TOKEN_SIZE), RISTRETTO255.random_scalar()) for _ in range(count))
    return b"".join(token + blind for token, blind in pairs)


def _tokens(secrets: bytes) -> list[bytes]:
    return [secrets[at : at + TOKEN_SIZE] for at in range(0, len(secrets), _PAIR)]


def _blinds(secrets: bytes) -> list[bytes]:
    return [secrets[at + TOKEN_SIZE : at + _PAIR] for at in range(0, len(secrets), _PAIR)]


def _blinded(secrets: bytes) -> tuple[bytes, ...]:
    # Most devices send nothing anonymously, and need not have what tokens are calculated with.
    from device_sdk.proofs import oprf

    pairs = zip(_tokens(secrets), _blinds(secrets), strict=True)
    return tuple(oprf.blind(token, blind) for token, blind in pairs)


def _finalize(secrets: bytes, issue: TokenIssue, key: EpochKey) -> list[bytes]:
    from device_sdk.proofs import oprf

    if not issue.evaluated:
        raise ProofError("an answer without tokens")
    return oprf.finalize(
        _tokens(secrets),
        _blinds(secrets),
        issue.evaluated,
        public=key.public,
        proof=issue.proof,
    )

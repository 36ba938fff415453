"""Who runs the gateway's side of this prefix: our own signed state, and a watch for others.

Two gateways with two ledgers under one prefix would clear each other's copies. So a gateway that
finds another one's state watches before it starts, and whoever sees another one's time advance
stops (PROTOCOL 13.6).
"""

import asyncio
import os
from importlib.metadata import version

import structlog

from device_sdk.wire import cose
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.roster_page import ROLE_GATEWAY
from device_sdk.wire.state import OFFLINE, ONLINE, PAUSED, State
from device_sdk.wire.topics import Kind, Topics
from gateway.errors import GatewayError
from gateway.fault_points import reached
from gateway.keeper import Keeper
from gateway.link.port import BrokerRefusedError, Connection, Will
from gateway.logs import short_id

_SOFTWARE = f"sealgate {version('sealgate')}"
_INSTANCE_SIZE = 16


class GatewayConflictError(GatewayError):
    """Another gateway is at work under the same prefix of the same broker.

    Attributes:
        gateway: its name in the fleet.
    """

    def __init__(self, gateway: str, prefix: str) -> None:
        super().__init__(
            f"another gateway ({gateway}) is at work under {prefix} at this broker: "
            "stop one of the two, or give one another --prefix"
        )
        self.gateway = gateway


class Presence:
    """This process's state, and what it has seen of other gateways."""

    def __init__(self, keeper: Keeper, topics: Topics, ledger_id: bytes, name: str) -> None:
        self._keeper = keeper
        self._topics = topics
        self._ledger_id = ledger_id
        self._name = name
        self._instance = os.urandom(_INSTANCE_SIZE)
        self._times: dict[tuple[str, bytes], int] = {}
        self._foreign: dict[str, bytes] = {}
        self._took_over: list[str] = []
        self._was_here = False
        self._changed = asyncio.Event()
        self._log = structlog.get_logger("gateway.presence")

    # ------------------------------------------------------------------ our own state

    @property
    def topic(self) -> str:
        """Where our own state stands."""
        return self._topics.state(self._name)

    def will(self) -> Will:
        """Return the last will: *offline*, signed now."""
        return Will(topic=self.topic, payload=self._signed(OFFLINE))

    async def run(self, connection: Connection, interval: float) -> None:
        """Publish the state now, whenever it changes, and every ``interval`` seconds."""
        while True:
            await self._publish(connection, PAUSED if self._keeper.is_paused else ONLINE)
            try:
                async with asyncio.timeout(interval):
                    await self._changed.wait()
            except TimeoutError:
                continue
            finally:
                self._changed.clear()

    def changed(self) -> None:
        """Let the state be published at once: paused or not, or a new roster."""
        self._changed.set()

    async def say_goodbye(self, connection: Connection) -> None:
        """Publish *offline*."""
        await self._publish(connection, OFFLINE)

    async def _publish(self, connection: Connection, status: str) -> None:
        try:
            await connection.publish(self.topic, self._signed(status), retain=True)
        except BrokerRefusedError as error:  # such as over a quota: the next one may pass
            self._log.error("state_refused", reason=str(error))
        reached("state-sent")

    def _signed(self, status: str) -> bytes:
        situation = self._keeper.situation
        state = State(
            gateway=self._name,
            ledger_id=self._ledger_id,
            instance=self._instance,
            status=status,
            time=self._keeper.wall,
            roster_version=situation.roster.version if situation.roster else 0,
            software=_SOFTWARE,
            max_payload=situation.limits.max_payload,
            max_readers=situation.limits.max_readers,
            max_lifetime=situation.limits.max_lifetime,
        )
        return cose.sign(state, self._keeper.identity, self._keeper.pin.aad)

    # ------------------------------------------------------------------ others

    def note(self, topic: str, payload: bytes, *, backlog: bool = False) -> bool:
        """Look at a state, ours or another's; return False if it is no state at all.

        With ``backlog`` it may have waited in our lasting session while no gateway was here: then
        it only tells what was known by then, as it may be newer than a dead gateway's last will.

        Raises:
            GatewayConflictError: another instance is alive.
        """
        try:
            parsed = self._topics.parse(topic)
            unverified = cose.parse_signed(State, payload)
        except SealgateError:
            return False
        try:
            state = self._verify(parsed.owner, unverified)
        except SealgateError:
            return True  # nobody believes it; a newer roster may
        if state.instance == self._instance:
            return True
        if state.ledger_id == self._ledger_id:
            self._was_here = True
        else:
            self._foreign[state.gateway] = state.ledger_id
        who = (state.gateway, state.instance)
        known = self._times.setdefault(who, state.time)
        if backlog:
            self._times[who] = max(known, state.time)
        elif state.status != OFFLINE and state.time > known:
            raise GatewayConflictError(state.gateway, self._topics.prefix)
        return True

    def _verify(self, owner: str, unverified: cose.Unverified[State]) -> State:
        name = unverified.claims.gateway
        roster, now = self._keeper.roster, self._keeper.situation.now
        if name != owner or not roster.is_active(name, now, ROLE_GATEWAY):
            raise GatewayError("not the state of an active gateway")
        key = roster.identity(name, unverified.kid, ROLE_GATEWAY)
        return unverified.verify(key, self._keeper.pin.aad)

    def left_behind(self) -> list[str]:
        """Return, once, the state topics of the gateways whose prefix was taken over.

        A dead gateway's *online* would mislead devices; if it comes back, it will find our state.
        """
        topics, self._took_over = self._took_over, []
        return [topic for topic in topics if topic != self.topic]

    async def await_free_prefix(self, connection: Connection, seconds: float) -> None:
        """Return when no other gateway is at work under our prefix.

        Returns at once if nobody else's state stands there, or ours as well: we were here before.
        Otherwise after ``seconds`` in which the other's time did not advance.

        Raises:
            GatewayConflictError: another instance is alive.
        """
        marker = self._topics.notice(self._name)
        token = os.urandom(_INSTANCE_SIZE)
        await connection.subscribe([self._topics.all_of(Kind.STATE), marker])
        # What is retained comes before anything published later, so it is all there when this is.
        await connection.publish(marker, token)
        await self._watch(connection, token)
        if self._was_here or not self._foreign:
            return
        self._log.warning(
            "watching",
            reason="another gateway's state stands under this prefix",
            gateways=sorted(self._foreign),
            ledgers=[short_id(ledger_id) for ledger_id in self._foreign.values()],
            seconds=seconds,
        )
        try:
            async with asyncio.timeout(seconds):
                await self._watch(connection, None)
        except TimeoutError:
            self._log.warning("prefix_taken_over", gateways=sorted(self._foreign))
            self._took_over = [self._topics.state(name) for name in self._foreign]

    async def _watch(self, connection: Connection, token: bytes | None) -> None:
        while True:
            arrivals = await connection.batch()
            connection.ack(arrivals)
            for arrival in arrivals:
                if arrival.payload == token:
                    return
                self.note(arrival.topic, arrival.payload)

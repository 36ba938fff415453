"""The parts that live as long as the service, and how one's doing becomes another's task."""

from device_sdk.trust import Roster
from device_sdk.wire.topics import Topics
from gateway.bundle import BundleWatch
from gateway.deliver import Deliverer, Errand
from gateway.effects import NOTHING, Effects
from gateway.examiner import Examiner
from gateway.keeper import Keeper
from gateway.link.port import Connection
from gateway.log_head import LogHead
from gateway.metrics import Metrics
from gateway.presence import Presence
from gateway.requests import Requests
from gateway.session import Session
from gateway.standing import copy_topic
from gateway.tell import Teller
from gateway.token_office import TokenOffice
from gateway.upkeep import Upkeep

_DONE = Errand(0)


class Parts:
    """Deliverer, teller, presence, log and upkeep of one gateway, and the session of the moment.

    Raises NoRosterError or NotAdmittedError if the gateway has no name in the fleet.
    """

    def __init__(
        self,
        keeper: Keeper,
        topics: Topics,
        ledger_id: bytes,
        requests: Requests | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.keeper = keeper
        self._metrics = metrics or Metrics()
        self._requests = requests
        self.name = keeper.name
        self._topics = topics
        self.deliverer = Deliverer(keeper, topics, self.carry_out)
        self.teller = Teller(keeper, topics, ledger_id)
        self.presence = Presence(keeper, topics, ledger_id, self.name)
        self.log_head = LogHead(keeper, topics, self.name)
        self.examiner = Examiner(keeper, topics, self.carry_out, self._metrics)
        self.token_office = TokenOffice(keeper, topics, self.name, self.log_head)
        self.upkeep = Upkeep(keeper, topics, self.deliverer, self.carry_out)
        self.upkeep.on_tick = self._on_tick
        self._left: dict[str, int] = {}
        self._session: Session | None = None
        keeper.on_change = self.presence.changed

    def carry_out(self, effects: Effects) -> Errand:
        """Do what a committed decision asks for; return the errand of its publications."""
        if effects is NOTHING:
            return _DONE
        copies = [copy_topic(self._topics, ref) for ref in (*effects.publish, *effects.clear)]
        keys = map(self._topics.keys, effects.keys)
        certificates = map(self._topics.cert, effects.certificates)
        errand = self.deliverer.visit([*copies, *keys, *certificates])
        if effects.keys:
            self.log_head.grown()
        if effects.tell:
            self.teller.tell(effects.tell, after=errand)
        if effects.erase:
            self.upkeep.erase_soon()
        return errand

    def begin(self, connection: Connection) -> Session:
        """Begin the session of a new connection."""
        self._session = Session(
            connection,
            self.keeper,
            self._topics,
            self.name,
            deliverer=self.deliverer,
            teller=self.teller,
            presence=self.presence,
            log_head=self.log_head,
            token_office=self.token_office,
            carry_out=self.carry_out,
            requests=self._requests,
            examiner=self.examiner,
            metrics=self._metrics,
        )
        # What nobody could judge is cleared in time also if connections do not last as long.
        self._session.sweeper.left = self._left
        return self._session

    def end(self) -> None:
        """The connection is lost or closed."""
        self._session = None

    async def follow(self, watch: BundleWatch, poll: float) -> None:
        """Act on every change of the owner's bundle. Raises NotAdmittedError if it drops us."""
        before = self.keeper.situation.roster
        async for taken in watch.changes(poll):
            if taken.roster is not None:
                _ = self.keeper.name
                self.log_head.grown()
                self.token_office.look_soon()
                if self._requests is not None:
                    self._requests.tidy(taken.roster)
                await self._publish(before, taken.roster)
                await self.upkeep.sweep()
                if self._session is not None:
                    self._session.sweeper.sweep_soon()
                before = taken.roster
            self.carry_out(taken.effects)

    async def _publish(self, before: Roster | None, roster: Roster) -> None:
        if self.keeper.overtaken or not self.keeper.situation.reconciled:
            return  # a sweep tells, and publishes it if it may
        # Pages first and last: whoever sees a head finds its pages.
        pages = set(roster.head.head.page_hashes)
        stale = set(before.head.head.page_hashes) - pages if before is not None else set()
        page = self._topics.roster_page
        await self.deliverer.visit(map(page, pages)).wait()
        await self.deliverer.visit([self._topics.roster()]).wait()
        self.deliverer.visit(map(page, stale))

    def _on_tick(self) -> None:
        self._metrics.write()
        if self._session is not None:
            self._session.sweeper.clear_overdue()

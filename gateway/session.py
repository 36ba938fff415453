"""Everything that runs while one connection to the broker lasts."""

import asyncio
from collections.abc import Callable

import structlog

from device_sdk.wire.topics import Topics
from gateway import copies
from gateway.anonymous_answers import AnonymousAnswers
from gateway.decide import Decision
from gateway.deliver import Deliverer, Errand
from gateway.effects import Effects
from gateway.enquire import Enquiries
from gateway.examiner import Examiner
from gateway.fault_points import reached
from gateway.intake import Intake
from gateway.keeper import Keeper
from gateway.link.port import Arrival, Connection
from gateway.log_head import LogHead
from gateway.metrics import Metrics
from gateway.presence import Presence
from gateway.prover import Prover
from gateway.reconcile import Sweeper, always_subscribed
from gateway.requests import Requests
from gateway.tell import Teller
from gateway.token_office import TokenOffice


class Session:
    """One connection's work: take in, deliver, tell, answer, sweep, be present."""

    def __init__(
        self,
        connection: Connection,
        keeper: Keeper,
        topics: Topics,
        name: str,
        *,
        deliverer: Deliverer,
        teller: Teller,
        presence: Presence,
        log_head: LogHead,
        token_office: TokenOffice,
        carry_out: Callable[[Effects], Errand],
        requests: Requests | None,
        examiner: Examiner,
        metrics: Metrics,
    ) -> None:
        marker = topics.notice(name)
        self._connection = connection
        self._keeper = keeper
        self._topics = topics
        self._marker = marker
        self._deliverer = deliverer
        self._teller = teller
        self._presence = presence
        self._log_head = log_head
        self._token_office = token_office
        self._carry_out = carry_out
        self._requests = requests
        self._examiner = examiner
        self._metrics = metrics
        self._log = structlog.get_logger("gateway.session")
        self._intake = Intake(connection, keeper, topics, marker, self)
        self._prover = Prover(keeper, topics, name, log_head.shown)
        self.sweeper = Sweeper(connection, keeper, topics, deliverer, name)
        self._anonymous_answers = AnonymousAnswers(keeper, carry_out)
        self._enquiries = Enquiries(keeper, teller, carry_out, self.sweeper.undecided)

    async def run(
        self, *, state_interval: float, sweep: float, on_reconciled: Callable[[], None]
    ) -> None:
        """Work until the connection is lost (LinkLostError) or another gateway is found."""
        self._deliverer.give_up()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._intake.run())
            tasks.create_task(self._deliverer.run(self._connection))
            tasks.create_task(self._teller.run(self._connection))
            tasks.create_task(self._enquiries.run(self._connection))
            tasks.create_task(self._anonymous_answers.run())
            tasks.create_task(self._prover.run(self._connection))
            reached("connected")
            await self._connection.subscribe([*always_subscribed(self._topics), self._marker])
            reached("subscribed")
            tasks.create_task(self._presence.run(self._connection, state_interval))
            tasks.create_task(self._log_head.run(self._connection))
            tasks.create_task(self._token_office.run(self._connection))
            self._deliverer.visit(self._presence.left_behind())
            await self._keeper.write(lambda tx: copies.make_all_due(tx, self._keeper.situation.now))
            await self.sweeper.sweep_first()
            await self._end_reconcile()
            reached("reconciled")
            on_reconciled()
            tasks.create_task(self.sweeper.run(sweep))

    async def _end_reconcile(self) -> None:
        self._keeper.end_reconcile()
        await self._intake.take_waiting()
        self._enquiries.reconciled()
        self._token_office.look_soon()

    # ------------------------------------------------------------------ gateway.intake.Sorting

    def on_state(self, arrival: Arrival) -> None:
        if arrival.retained and arrival.topic == self._presence.topic:
            self.sweeper.replays.note_state()
        backlog = not self._keeper.situation.reconciled
        if not arrival.payload or self._presence.note(
            arrival.topic, arrival.payload, backlog=backlog
        ):
            return
        if arrival.topic == self._presence.topic:
            self._presence.changed()  # ours may have been overwritten
        elif arrival.retained:
            self._deliverer.visit([arrival.topic])

    def on_log_head(self, arrival: Arrival) -> None:
        if not (arrival.retained and arrival.payload):
            return
        if arrival.topic == self._log_head.topic:
            self._log_head.note(arrival.payload)
        else:
            self._deliverer.visit([arrival.topic])  # nobody else is at work under this prefix

    def on_token_keys(self, arrival: Arrival) -> None:
        if not (arrival.retained and arrival.payload):
            return
        if arrival.topic == self._token_office.topic:
            self._token_office.note(arrival.payload)
        else:
            self._deliverer.visit([arrival.topic])  # as a foreign head of a log

    def _keep_request(self, arrival: Arrival, requests: Requests) -> None:
        name, roster = self._topics.parse(arrival.topic).owner, self._keeper.situation.roster
        result = requests.take(name, arrival.payload, roster)
        if count := requests.to_say(result):
            self._log.info("join_request", device=name, result=result, count=count)

    def on_marker(self, arrival: Arrival) -> None:
        self.sweeper.replays.note_marker(arrival.payload)

    def on_decision(self, arrival: Arrival, decision: Decision) -> None:
        if arrival.retained:
            self.sweeper.note_retained(arrival, decision)
        self._metrics.note(decision)
        self._carry_out(decision.effects)
        if decision.question is not None:
            self._examiner.ask(arrival, decision.question)
        if decision.visit:
            self._deliverer.visit(decision.visit)
        if decision.is_request and self._requests is not None:
            self._keep_request(arrival, self._requests)
        if decision.query is not None:
            self._enquiries.ask(decision.query)
        if decision.prove is not None:
            self._prover.ask(decision.prove)
        if decision.anonymous_query is not None:
            self._anonymous_answers.ask(decision.anonymous_query)
        if decision.grant is not None:
            self._token_office.ask(decision.grant)

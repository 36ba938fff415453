"""Answers what devices want to have proved about the log, one device after the other."""

import asyncio
from functools import partial

import structlog

from device_sdk.wire.log_proof import LogProof, Prove
from device_sdk.wire.topics import Topics
from gateway import transparency
from gateway.keeper import Keeper
from gateway.link.port import BrokerRefusedError, Connection
from gateway.store.port import Reading


class Prover:
    """The newest question of each device, waiting for its answer."""

    def __init__(self, keeper: Keeper, topics: Topics, name: str, shown: asyncio.Event) -> None:
        """Answer for the gateway ``name`` once its head is ``shown`` at the connection.

        A device that hears *no* first, and only then that the log is a new one, would take the
        loss of a ledger for a lie.
        """
        self._keeper = keeper
        self._shown = shown
        self._topics = topics
        self._name = name
        self._questions: dict[str, Prove] = {}
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("gateway.prover")

    def ask(self, question: Prove) -> None:
        """Take a verified question; a device's newer one replaces it. Others' logs are not ours."""
        if question.gateway == self._name:
            self._questions[question.device] = question
            self._wake.set()

    async def run(self, connection: Connection) -> None:
        """Answer until the connection is lost (LinkLostError)."""
        while True:
            self._wake.clear()
            await self._shown.wait()
            while self._questions:
                device = next(iter(self._questions))
                await self._answer(connection, self._questions.pop(device))
            await self._wake.wait()

    async def _answer(self, connection: Connection, question: Prove) -> None:
        proof = await self._keeper.read(partial(_look_up, question))
        try:
            await connection.publish(self._topics.proof(question.device), proof.encode())
        except BrokerRefusedError as error:
            self._log.error("proof_refused", device=question.device, reason=str(error))


def _look_up(question: Prove, tx: Reading) -> LogProof:
    return transparency.answer(tx, question)

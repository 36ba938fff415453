"""The gateway's service: puts its parts together, and keeps them going until it is stopped."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial

import structlog

from device_sdk.wire.errors import SealgateError
from device_sdk.wire.limits import DAY
from device_sdk.wire.topics import Topics
from gateway import logs
from gateway.bundle import BundleWatch, pin_root
from gateway.embedded_broker import BrokerNotStartedError, EmbeddedBroker
from gateway.enrolment import load_identity
from gateway.errors import GatewayError
from gateway.keeper import Keeper
from gateway.link.address import BrokerAddress
from gateway.link.paho import PahoLink
from gateway.link.port import Connection, Credentials, LinkError, LinkLostError
from gateway.login import Doorkeeper, operator_password, own_credentials
from gateway.metrics import Metrics
from gateway.own_certificate import OwnCertificate
from gateway.parts import Parts
from gateway.requests import Requests
from gateway.secret_files import read_password, read_secret
from gateway.settings import Settings
from gateway.situation import Limits
from gateway.store.sqlite import LEDGER_FILE, SqliteLedger

_GOODBYE_SECONDS = 3.0


class InternalError(GatewayError):
    """A defect of the gateway itself."""


async def serve(settings: Settings) -> None:
    """Run a gateway until SIGTERM or SIGINT; prints ``ready URL`` once it serves.

    Raises:
        SealgateError: why it cannot go on, in one line.
    """
    logs.configure(settings.log_level, settings.log_format)
    gateway = Gateway(settings, on_ready=_print_ready)
    task = asyncio.ensure_future(gateway.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def run(settings: Settings) -> None:
    """`serve` in an event loop of its own. Raises SealgateError."""
    asyncio.run(serve(settings))


def _print_ready(url: str) -> None:
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()


class Gateway:
    """One gateway. `run` it in a task, cancel the task to stop it gracefully."""

    def __init__(
        self,
        settings: Settings,
        *,
        on_ready: Callable[[str], None] = lambda _url: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._wall = wall
        self._topics = Topics(settings.prefix)
        self._on_ready = on_ready
        self._log = structlog.get_logger("gateway.service")

    async def run(self) -> None:
        """Serve until cancelled. Raises SealgateError: why it cannot go on."""
        try:
            await self._run()
        except Exception as error:
            raise _reason(error) from error

    async def _run(self) -> None:
        settings = self._settings
        identity = load_identity(settings.data, read_secret(settings.passphrase_file, "passphrase"))
        pin = pin_root(settings.data, settings.bundle)
        ledger = SqliteLedger.open(settings.data / LEDGER_FILE)
        keeper = Keeper(ledger, pin, identity, _limits(settings), wall=self._wall)
        try:
            await self._work(keeper)
        finally:
            await keeper.stop()
            await ledger.close()

    async def _work(self, keeper: Keeper) -> None:
        settings = self._settings
        await keeper.start(confirm_clock=settings.confirm_clock)
        watch = None if settings.bundle is None else BundleWatch(settings.bundle, keeper)
        if watch is not None:
            await watch.take_first()
        requests = Requests(settings.data)
        ledger_id = await keeper.read(lambda tx: tx.ledger_id())
        metrics = Metrics(settings.metrics_file)
        parts = Parts(keeper, self._topics, ledger_id, requests, metrics)
        requests.tidy(keeper.roster)
        async with self._broker(keeper) as address, asyncio.TaskGroup() as tasks:
            tasks.create_task(parts.upkeep.run(settings.tick))
            tasks.create_task(parts.upkeep.publish_due(settings.tick))
            tasks.create_task(parts.upkeep.erase())
            tasks.create_task(parts.examiner.run())
            if watch is not None:
                tasks.create_task(parts.follow(watch, settings.bundle_poll))
            await self._stay_connected(parts, address)

    @contextlib.asynccontextmanager
    async def _broker(self, keeper: Keeper) -> AsyncIterator[BrokerAddress]:
        """Give the broker's address; the embedded one runs meanwhile if there is no other."""
        if (address := self._settings.address) is not None:
            yield address
            return
        host, port = self._settings.listen_address
        operator = operator_password(self._settings.data)
        broker = EmbeddedBroker(
            host=host,
            port=port,
            authenticate=Doorkeeper(keeper, operator),
            prefix=self._settings.prefix,
        )
        await broker.start()
        try:
            yield BrokerAddress(host=host, port=broker.port, tls=False)
        finally:
            await broker.stop()

    async def _stay_connected(self, parts: Parts, address: BrokerAddress) -> None:
        await self._await_free_prefix(parts, address)
        link = self._link(parts, address)
        while True:
            connection = await link.connect()
            self._log.info("connected", broker=str(address), mqtt5=connection.mqtt5)
            try:
                await _apart(self._serve(parts, connection, str(address)))
            except* LinkLostError as group:
                self._log.warning("connection_lost", reason=str(_leaves(group)[0]))

    async def _await_free_prefix(self, parts: Parts, address: BrokerAddress) -> None:
        # With a client id and session of its own: what waits for us in the lasting session must
        # not be taken in before we know that we may.
        link = self._link(parts, address, watching=True)
        while True:
            connection = await link.connect()
            try:
                return await parts.presence.await_free_prefix(connection, self._settings.watch)
            except LinkLostError as error:
                self._log.warning("connection_lost", reason=str(error))
            finally:
                await connection.close()

    def _link(self, parts: Parts, address: BrokerAddress, *, watching: bool = False) -> PahoLink:
        settings = self._settings
        own = OwnCertificate(settings.data, settings.bundle, parts.keeper)
        # A user of the broker's own has to do with a broker that is nobody's of this fleet.
        ca = settings.ca
        if address.tls and not address.user and ca is None:
            ca = own.authorities()
        if address.user:
            fixed = address.credentials(read_password(settings.password_file))

            def credentials() -> Credentials | None:
                return fixed
        else:

            def credentials() -> Credentials | None:
                if address.tls and settings.ca is None and ca is not None:
                    with contextlib.suppress(OSError):  # a full disk: those of before still serve
                        own.authorities()  # what is believed about the broker may have run out
                    if own.is_there:
                        return None  # the broker takes the user name from the certificate
                return own_credentials(parts.keeper, parts.name)

        return PahoLink(
            address,
            client_id=f"{parts.name}-watch" if watching else parts.name,
            credentials=credentials,
            will=None if watching else parts.presence.will,
            ca=ca,
            present=own.present,
            lasting=not watching,
        )

    async def _serve(self, parts: Parts, connection: Connection, url: str) -> None:
        session = parts.begin(connection)
        try:
            await session.run(
                state_interval=self._settings.state_interval,
                sweep=self._settings.sweep,
                on_reconciled=partial(self._note_reconciled, url),
            )
        except asyncio.CancelledError:
            with contextlib.suppress(LinkError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await parts.presence.say_goodbye(connection)
            raise
        finally:
            parts.end()
            await connection.close()

    def _note_reconciled(self, url: str) -> None:
        on_ready, self._on_ready = self._on_ready, lambda _url: None
        on_ready(url)


async def _apart(work: Coroutine[None, None, None]) -> None:
    """Do some work in a task of its own, so that this one learns for certain if it is cancelled.

    Before Python 3.13 a task group that fails in the moment in which it is cancelled says only that
    it failed: a broker and its gateway that are stopped at once would leave the gateway running.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        raise
    task.result()


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_payload=settings.max_payload,
        max_readers=settings.max_readers,
        max_lifetime=settings.max_lifetime,
        totals_kept=settings.totals_days * DAY,
    )


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]


def _reason(error: Exception) -> SealgateError:
    """Return the one line to end with; a lost connection is never the reason, only company."""
    every = _leaves(error)
    leaves = [leaf for leaf in every if not isinstance(leaf, LinkLostError)] or every
    for leaf in leaves:
        if not isinstance(leaf, SealgateError | BrokerNotStartedError):
            structlog.get_logger("gateway.service").error("internal_error", exc_info=leaf)
            return InternalError(f"internal error, please report it: {type(leaf).__name__}: {leaf}")
    reason = leaves[0]
    return reason if isinstance(reason, SealgateError) else GatewayError(str(reason))

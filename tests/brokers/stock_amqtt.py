"""amqtt's own broker with our accounts and our access table, as far as its plug-ins go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from amqtt.broker import Broker
from amqtt.contexts import Action, BrokerConfig, ListenerConfig
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin

from gateway.access import Action as OurAction
from gateway.access import Client, may
from tests.brokers.embedded import PREFIX, authenticate

_ACTIONS: dict[Action | None, OurAction] = {
    Action.PUBLISH: "publish",
    Action.SUBSCRIBE: "subscribe",
    Action.RECEIVE: "receive",
}


class Accounts(BaseAuthPlugin):  # type: ignore[misc]
    """The same passwords as for the embedded broker."""

    async def authenticate(self, *, session: Any) -> bool:
        return _client(session) is not None


class Table(BaseTopicPlugin):  # type: ignore[misc]
    """The same access table as for the embedded broker."""

    async def topic_filtering(
        self, *, session: Any = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        client = _client(session)
        return client is not None and may(client, _ACTIONS[action], topic or "", prefix=PREFIX)


def _client(session: Any) -> Client | None:
    return authenticate(session.client_id, session.username or "", session.password or "")


@asynccontextmanager
async def stock_amqtt(**listener: object) -> AsyncIterator[int]:
    """A started broker; its port."""
    plugins: dict[str, dict[str, str]] = {
        f"{__name__}.{plugin.__name__}": {} for plugin in (Accounts, Table)
    }
    settings = ListenerConfig(bind="127.0.0.1:0", **listener)
    broker = Broker(BrokerConfig(listeners={"default": settings}, plugins=plugins))
    await broker.start()
    try:
        yield broker._servers["default"].instance.sockets[0].getsockname()[1]
    finally:
        await broker.shutdown()

"""Those who want to join at the embedded broker: they may only ask, and crowd nobody out."""

from gateway.access import Client, Role
from gateway.embedded.limits import MAX_JOINERS
from gateway.embedded_broker import EmbeddedBroker
from tests.brokers.embedded import authenticate
from tests.brokers.raw_client import RawClient


def let_in(client_id: str, user: str, password: str) -> Client | None:
    if user == "join":
        return Client(name=client_id, role=Role.JOINER)
    return authenticate(client_id, user, password)


async def test_the_longest_waiting_makes_room_and_devices_stay() -> None:
    broker = EmbeddedBroker(host="127.0.0.1", port=0, authenticate=let_in)
    await broker.start()
    clients: list[RawClient] = []

    async def connect(client_id: str, user: str, password: str) -> RawClient:
        clients.append(await RawClient.dial(broker.port))
        answer = await clients[-1].connect(client_id, user, password)
        assert answer == b"\0\0"
        return clients[-1]

    try:
        hub = await connect("hub", "hub", "buh")
        joiners = [await connect(f"n-{n}", "join", "join") for n in range(MAX_JOINERS + 2)]
        for client in joiners[:2]:
            assert await client.closed()
        for client in [hub, *joiners[2:]]:
            assert await client.subscribe("sealgate/1/roster") == [1]
        assert await joiners[-1].subscribe("sealgate/1/keys/hub") == [0x80]
    finally:
        for client in clients:
            await client.close()
        await broker.stop()

"""Every right of `gateway.access`, allowed and refused, at the brokers that are to enforce it.

One table, three ways to a broker: the embedded one, and a Mosquitto with the configuration that
``sealgate broker config`` writes, over MQTT and over WebSockets. A new row is tested by itself.
"""

import asyncio
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from gateway.access import RULES, Client, Role, may
from gateway.embedded_broker import EmbeddedBroker
from tests.support.peer import Peer
from tests.support.tls_fleet import TlsBroker, TlsFleet, Transport, foreign_authority

PREFIX = "sealgate/1"
NAMES = {
    Role.DEVICE: "hub",
    Role.GATEWAY: "gw-2",
    Role.OPERATOR: "operator",
    Role.JOINER: "join",
    Role.ANONYMOUS: "anonymous",
}
OTHERS = "phone"
MARKER = f"{PREFIX}/notice/gw-1"
# paho leaves the socket of a failed handshake to the garbage collector, which closes it at once.
leaves_a_socket = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Kind(StrEnum):
    """The brokers that are to enforce the table."""

    EMBEDDED = "embedded"
    MQTT = "mqtt"
    WEBSOCKETS = "websockets"


@dataclass(frozen=True)
class Connect:
    """How clients connect to one of them."""

    kind: Kind
    make: Callable[[str], Peer]

    def __call__(self, name: str) -> Peer:
        """Return a connected client."""
        return self.make(name)


def _filters(name: str) -> set[str]:
    """Return every row's topics, as if they were all one client's."""
    rows = [rule.topics for rules in RULES.values() for rule in rules]
    return {row.format(prefix=PREFIX, name=name) for row in rows}


def _topic(topic_filter: str) -> str:
    return topic_filter.replace("+", "x").replace("#", "a/b")


def _cases() -> list[tuple[Role, str]]:
    """Each role with each row of the whole table, its own and somebody else's."""
    return [
        (role, topic_filter)
        for role, name in NAMES.items()
        for topic_filter in sorted(_filters(name) | _filters(OTHERS))
        # Nobody can write there at any broker, and what stands there is the broker's own.
        if not topic_filter.startswith("$SYS")
    ]


CASES = _cases()
IDS = [f"{role}-{topic_filter}" for role, topic_filter in CASES]


class _Loop:
    """The embedded broker, in an event loop of its own thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.broker = EmbeddedBroker(host="127.0.0.1", port=0, authenticate=_authenticate)
        self._run(self.broker.start())

    def _run(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)  # type: ignore[arg-type]

    def close(self) -> None:
        self._run(self.broker.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _authenticate(client_id: str, user: str, _password: str) -> Client | None:
    roles = {name: role for role, name in NAMES.items()} | {"gw-1": Role.GATEWAY}
    return Client(name=user, role=roles[user]) if user in roles else None


@pytest.fixture(scope="module")
def tls_broker(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[TlsBroker]:
    program = request.getfixturevalue("mosquitto")
    tls = TlsFleet(tmp_path_factory.mktemp("tls"))
    tls.revoke("lost")
    broker = TlsBroker(tls, program)
    with broker.mosquitto:
        yield broker


@pytest.fixture(scope="module", params=["embedded", "mqtt", "websockets"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """How clients connect to one of the brokers."""
    if request.param == "embedded":
        loop = _Loop()
        end: Callable[[], None] = loop.close

        def make(name: str) -> Peer:
            peer = Peer(name, login=(name, "secret"))
            assert peer.connect(loop.broker.port)
            return peer
    else:
        broker: TlsBroker = request.getfixturevalue("tls_broker")
        transport: Transport = "tcp" if request.param == "mqtt" else "websockets"

        def make(name: str) -> Peer:
            peer = broker.fleet.peer(name, transport)
            assert peer.connect(broker.port(transport))
            return peer

        def end() -> None:
            return

    yield Connect(Kind(request.param), make)
    end()


@pytest.fixture(scope="module")
def gateway(connect: Connect) -> Iterator[Peer]:
    gateway = connect("gw-1")
    yield gateway
    gateway.close()


@pytest.mark.parametrize(("role", "topic_filter"), CASES, ids=IDS)
def test_what_the_table_lets_a_client_publish_is_carried_and_nothing_else(
    connect: Connect, gateway: Peer, role: Role, topic_filter: str
) -> None:
    # The operator's own session cannot watch the operator, nor what is shut to it as a whole.
    is_shut = connect.kind is not Kind.EMBEDDED and _is_denied_whole(Role.OPERATOR, topic_filter)
    by_gateway = role is Role.OPERATOR or is_shut
    eyes = connect("gw-2" if by_gateway and role is not Role.GATEWAY else "operator")
    if is_shut and role is Role.GATEWAY:
        eyes.close()
        eyes = gateway
    assert eyes.subscribe(f"{PREFIX}/#" if by_gateway else "#")
    topic, client = _topic(topic_filter), Client(name=NAMES[role], role=role)
    peer = connect(NAMES[role])
    peer.publish(topic)  # PUBACKed, or the connection has ended: the broker is done with it
    gateway.publish(MARKER)
    eyes.wait_for(MARKER)
    assert (topic in eyes.received) is may(client, "publish", topic)
    peer.close()
    if eyes is not gateway:
        eyes.close()


@pytest.mark.parametrize(("role", "topic_filter"), CASES, ids=IDS)
def test_what_the_table_lets_a_client_receive_reaches_it_and_nothing_else(
    connect: Connect, gateway: Peer, role: Role, topic_filter: str
) -> None:
    topic, client = _topic(topic_filter), Client(name=NAMES[role], role=role)
    peer = connect(NAMES[role])
    granted = peer.subscribe(topic_filter)
    if connect.kind is Kind.EMBEDDED:
        assert granted is may(client, "subscribe", topic_filter)
    # Mosquitto 2.0 grants every filter, and looks at its rules for each message.
    peer.subscribe(topic)
    gateway.publish(topic)
    peer.subscribe(f"{PREFIX}/state/gw-1")  # answered after whatever was there for it
    if may(Client(name="gw-1", role=Role.GATEWAY), "publish", topic):
        expected = may(client, "receive", topic) and not (
            connect.kind is not Kind.EMBEDDED and _is_denied_whole(role, topic_filter)
        )
        assert (topic in peer.received) is expected
    peer.close()


def _is_denied_whole(role: Role, topic_filter: str) -> bool:
    """Mosquitto cannot deny writing alone. So to the operator, who may read everything, those
    topics are shut on which a device of its name would write, where nobody else can, nor listens;
    and those on which every device writes anonymously, which the operator cannot watch there."""
    rows = [rule for rule in RULES[Role.DEVICE] if rule.access == "write"]
    own = [row.topics.format(prefix=PREFIX, name="operator") for row in rows]
    return role is Role.OPERATOR and topic_filter in own


@leaves_a_socket
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
@pytest.mark.parametrize("who", ["nobody", "foreign", "expired", "self-signed", "broker"])
def test_whoever_has_no_valid_certificate_of_the_owner_does_not_get_in(
    tls_broker: TlsBroker, who: str, transport: Transport
) -> None:
    tls, identity = tls_broker.fleet, tls_broker.fleet.identities["hub"]
    chains = {
        "foreign": lambda: tls.issue("hub", identity, foreign_authority()),
        "expired": lambda: tls.issue("hub", identity, validity=-3600),
        "self-signed": lambda: tls.issue("gw-1", identity, foreign_authority()),
    }
    context = tls.context(None)
    if who in chains:
        identity.present(context, chains[who]())
    elif who == "broker":
        out = tls_broker.out
        context.load_cert_chain(out / "server.pem", out / "server.key")
    assert not Peer("hub", transport=transport, tls=context).connect(tls_broker.port(transport))


@leaves_a_socket
def test_a_revoked_member_does_not_get_in(tls_broker: TlsBroker) -> None:
    assert not tls_broker.fleet.peer("lost").connect(tls_broker.port("tcp"))


def test_over_websockets_a_revoked_member_reaches_nothing(tls_broker: TlsBroker) -> None:
    """Mosquitto 2.0 looks at no CRL there: the rules have to do it."""
    tls, lost = tls_broker.fleet, tls_broker.fleet.peer("lost", "websockets")
    gateway = tls.peer("gw-2")
    assert gateway.connect(tls_broker.port("tcp"))
    assert gateway.subscribe("sealgate/1/#")
    if lost.connect(tls_broker.port("websockets")):
        for topic_filter in sorted(_filters("lost")):
            lost.subscribe(topic_filter)
            lost.publish(_topic(topic_filter))
        for topic_filter in sorted(_filters("lost")):
            gateway.publish(_topic(topic_filter))
        gateway.wait_for(f"{PREFIX}/state/x")
        lost.subscribe("end")
        assert lost.received == []
        mine = [topic for topic in gateway.received if topic.startswith(f"{PREFIX}/send/lost/")]
        assert mine == [f"{PREFIX}/send/lost/x"]  # its own
    lost.close()
    gateway.close()


@pytest.fixture
def fresh(tmp_path: Path, mosquitto: str) -> Iterator[TlsBroker]:
    broker = TlsBroker(TlsFleet(tmp_path), mosquitto)
    with broker.mosquitto:
        yield broker


@leaves_a_socket
def test_a_refreshed_configuration_shuts_out_a_revoked_member_at_once(fresh: TlsBroker) -> None:
    tls, port = fresh.fleet, fresh.port("tcp")
    key = (fresh.out / "server.key").read_bytes()
    lost, gateway = tls.peer("lost"), tls.peer("gw-1")
    assert lost.connect(port)
    assert gateway.connect(port)
    assert gateway.subscribe("sealgate/1/#")
    tls.revoke("lost")
    fresh.refresh()
    fresh.mosquitto.reload()
    while tls.peer("gw-2").connect(port) and tls.peer("lost").connect(port):
        pass  # a signal is taken at the end of the broker's turn
    lost.publish("sealgate/1/send/lost/x")
    gateway.publish(MARKER)
    gateway.wait_for(MARKER)
    assert gateway.received == [MARKER]
    assert (fresh.out / "server.key").read_bytes() == key
    lost.close()
    gateway.close()


def test_the_broker_listens_where_it_was_told_and_nowhere_else(fresh: TlsBroker) -> None:
    for transport in ("tcp", "websockets"):
        assert fresh.fleet.peer("hub", transport).connect(fresh.port(transport))
        for elsewhere in ("127.0.0.2", "::1"):
            family = socket.AF_INET6 if ":" in elsewhere else socket.AF_INET
            with socket.socket(family) as probe:
                assert probe.connect_ex((elsewhere, fresh.port(transport))) != 0


@leaves_a_socket
def test_old_versions_of_tls_are_refused(fresh: TlsBroker) -> None:
    tls = fresh.fleet
    for version, is_taken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        for transport in ("tcp", "websockets"):
            context = tls.context(tls.identities["hub"], tls.chains["hub"])
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
            peer = Peer("hub", transport=transport, tls=context)
            assert peer.connect(fresh.port(transport)) is is_taken
            peer.close()

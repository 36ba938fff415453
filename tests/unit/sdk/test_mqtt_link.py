"""The link to a real broker: it comes up by itself, each time with fresh credentials."""

import datetime as dt
import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from device_sdk.errors import SettingsError
from device_sdk.link.broker_url import BrokerUrl
from device_sdk.link.mqtt import MqttLink
from device_sdk.link.port import Connected, Disconnected, LinkEvent, Published, Received, Subscribed
from tests.brokers.mosquitto import Mosquitto

E = TypeVar("E", bound=LinkEvent)
PATIENCE = 30.0


class Ear:
    """A started link, and what it reports."""

    def __init__(self, url: str, *, name: str = "thermo-1", ca: str = "") -> None:
        self.events: queue.Queue[LinkEvent] = queue.Queue()
        self.logins = 0
        self.password = "token"
        self.link = MqttLink(BrokerUrl.parse(url), client_id=name, credentials=self._login, ca=ca)
        self.link.start(self.events.put)

    def _login(self) -> tuple[str, str]:
        self.logins += 1
        return "thermo-1", self.password

    def next(self, kind: type[E]) -> E:
        """Return the next event of a kind, passing over others."""
        while True:
            event = self.events.get(timeout=PATIENCE)
            if isinstance(event, kind):
                return event


@pytest.fixture
def listen() -> Iterator[Callable[..., Ear]]:
    ears: list[Ear] = []

    def make(url: str, **options: str) -> Ear:
        ears.append(Ear(url, **options))
        return ears[-1]

    yield make
    for ear in ears:
        ear.link.close()


@pytest.fixture
def broker(mosquitto: str, tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        yield broker


def test_what_is_published_is_confirmed_and_what_is_subscribed_to_arrives(
    broker: Mosquitto, listen: Callable[..., Ear]
) -> None:
    ear, other = listen(broker.url), listen(broker.url, name="other")
    other.next(Connected)
    assert other.link.subscribe(["a/+", "b"]) is not None
    other.next(Subscribed)
    ear.next(Connected)
    ticket = ear.link.publish("a/1", b"\x00\xff")
    assert ear.next(Published).ticket == ticket
    assert other.next(Received) == Received(topic="a/1", payload=b"\x00\xff", retained=False)


def test_a_subscription_says_which_one_it_answers_and_whether_it_was_refused(
    mosquitto: str, tmp_path: Path, listen: Callable[..., Ear]
) -> None:
    with Mosquitto(tmp_path, program=mosquitto, extra="max_topic_alias 0") as broker:
        ear = listen(broker.url)
        ear.next(Connected)
        first, second = ear.link.subscribe(["a"]), ear.link.subscribe(["b"])
        assert [ear.next(Subscribed).ticket for _ in range(2)] == [first, second]


def test_nothing_is_kept_for_later_while_there_is_no_connection(
    listen: Callable[..., Ear],
) -> None:
    ear = listen("mqtt://127.0.0.1:1")
    assert ear.link.publish("a", b"") is None
    assert ear.link.subscribe(["a"]) is None
    ear.link.unsubscribe(["a"])
    problem = ear.next(Disconnected).problem
    assert problem == "the broker mqtt://127.0.0.1:1 cannot be reached: connection refused"


def test_a_broker_that_comes_later_is_found_and_a_restarted_one_again(
    mosquitto: str, tmp_path: Path, listen: Callable[..., Ear]
) -> None:
    broker = Mosquitto(tmp_path, program=mosquitto)
    broker.start()
    broker.stop()
    ear = listen(broker.url)
    ear.next(Disconnected)
    with broker:
        assert ear.next(Connected).connection == 1
        logins = ear.logins
        broker.restart(kill=True)
        assert "was lost" in ear.next(Disconnected).problem
        assert ear.next(Connected).connection == 2
        assert ear.logins > logins  # a login token is valid for minutes only


def test_a_broker_that_refuses_the_login_is_named_and_asked_again_with_a_new_one(
    mosquitto: str, tmp_path: Path, listen: Callable[..., Ear]
) -> None:
    (tmp_path / "none").write_text("")
    (tmp_path / "none").chmod(0o600)
    extra = f"allow_anonymous false\npassword_file {tmp_path / 'none'}"
    with Mosquitto(tmp_path, program=mosquitto, extra=extra) as broker:
        ear = listen(broker.url)
        problem = ear.next(Disconnected).problem
        assert problem.startswith(f"the broker {broker.url} does not let this device in")
        ear.next(Disconnected)
        assert ear.logins > 1


def test_a_server_that_speaks_no_mqtt_ends_no_thread(listen: Callable[..., Ear]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            for _ in range(2):
                client, _ = server.accept()
                with client:
                    client.recv(100)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)

        thread = threading.Thread(target=babble)
        thread.start()
        ear = listen(f"mqtt://127.0.0.1:{server.getsockname()[1]}")
        ear.next(Disconnected)
        ear.next(Disconnected)
        thread.join()


def test_closing_says_goodbye_after_what_was_published(
    broker: Mosquitto, listen: Callable[..., Ear]
) -> None:
    other = listen(broker.url, name="other")
    other.next(Connected)
    other.link.subscribe(["a"])
    other.next(Subscribed)
    ear = listen(broker.url)
    ear.next(Connected)
    for number in range(10):
        ear.link.publish("a", b"%d" % number)
    ear.link.close()
    assert [other.next(Received).payload for _ in range(10)] == [b"%d" % n for n in range(10)]


# ------------------------------ TLS

# paho leaves the socket of a failed handshake to the garbage collector, which closes it at once.
leaves_a_socket = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def _certificates(directory: Path) -> str:
    """Write an authority and a server certificate; return settings for a listener."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "key.pem").write_bytes(pem)
    (directory / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return f"certfile {directory / 'ca.pem'}\nkeyfile {directory / 'key.pem'}"


@pytest.fixture
def tls_broker(mosquitto: str, tmp_path: Path) -> Iterator[Mosquitto]:
    extra = _certificates(tmp_path)
    with Mosquitto(tmp_path, program=mosquitto, extra=extra) as broker:
        yield broker


def test_a_broker_with_a_certificate_of_the_named_authority_is_trusted(
    tls_broker: Mosquitto, tmp_path: Path, listen: Callable[..., Ear]
) -> None:
    ear = listen(f"mqtts://127.0.0.1:{tls_broker.port}", ca=str(tmp_path / "ca.pem"))
    ear.next(Connected)


@leaves_a_socket
def test_a_broker_with_another_certificate_is_not(
    tls_broker: Mosquitto, tmp_path: Path, listen: Callable[..., Ear]
) -> None:
    del tmp_path
    ear = listen(f"mqtts://127.0.0.1:{tls_broker.port}")
    assert "certificate is not to be trusted" in ear.next(Disconnected).problem


@leaves_a_socket
def test_a_broker_without_tls_is_not_spoken_to_in_the_clear(
    broker: Mosquitto, listen: Callable[..., Ear]
) -> None:
    ear = listen(f"mqtts://127.0.0.1:{broker.port}")
    ear.next(Disconnected)


def test_an_unusable_authority_file_is_a_settings_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path / "empty"):
        (tmp_path / "empty").write_text("")
        with pytest.raises(SettingsError):
            MqttLink(
                BrokerUrl.parse("mqtts://host"),
                client_id="thermo-1",
                credentials=lambda: None,
                ca=str(path),
            )

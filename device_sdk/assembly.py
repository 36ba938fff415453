"""Puts a device together from its directory."""

import ssl
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from device_sdk.anonymous.keys import TokenKeys
from device_sdk.anonymous.purse import Purse
from device_sdk.anonymous.store import TokenStore
from device_sdk.anonymous.unnamed import Unnamed
from device_sdk.enrolment.certificate import CA_FILE, CERTIFICATE_FILE, OwnCertificate
from device_sdk.enrolment.settings_file import Settings, read_password
from device_sdk.errors import SettingsError
from device_sdk.freshness import RosterWatch
from device_sdk.gateways import Gateways
from device_sdk.identity import Identity
from device_sdk.inbox.inbox import Inbox
from device_sdk.inbox.store import InboxStore
from device_sdk.keys.keystore import KeyStore
from device_sdk.keys.own_keys import OwnKeys
from device_sdk.keys.reader_keys import ReaderKeys
from device_sdk.keys.vault import PrivateIdentity
from device_sdk.link.broker_url import BrokerUrl
from device_sdk.link.mqtt import Credentials, MqttLink
from device_sdk.outbox.limits import OutboxLimits
from device_sdk.outbox.outbox import Outbox
from device_sdk.outbox.store import OutboxStore
from device_sdk.parts import Parts
from device_sdk.queries import Queries
from device_sdk.state.roster_cache import RosterCache
from device_sdk.state.state_file import StateFile
from device_sdk.state.trusted_time import TrustedTime
from device_sdk.totals.store import TotalsStore
from device_sdk.transparency.proving import Proving
from device_sdk.transparency.store import LogStore
from device_sdk.transparency.watch import LogWatch
from device_sdk.trust import Pin
from device_sdk.wire.login import make_token
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.topics import Topics

STATE_FILE = "state.sqlite"


def assemble(
    keystore: KeyStore, pin: Pin, state: StateFile, prefix: str, limits: OutboxLimits
) -> Parts:
    """Return the parts of the device whose keys and state these are."""
    name, signer, aad, topics = keystore.name, keystore.identity, pin.aad, Topics(prefix)
    gateways = Gateways(aad)
    log_store = LogStore(state)
    proving = Proving(log_store, name=name, signer=signer, aad=aad, topics=topics)
    log = LogWatch(log_store, gateways, proving)
    token_store = TokenStore(state)
    token_keys = TokenKeys(token_store, log_store, gateways, log.entries, name)
    return Parts(
        keystore=keystore,
        pin=pin,
        topics=topics,
        time=TrustedTime(state),
        rosters=RosterCache(state, pin),
        reader_keys=ReaderKeys(state),
        gateways=gateways,
        log=log,
        watch=RosterWatch(state),
        queries=Queries(name=name, signer=signer, aad=aad, topics=topics),
        outbox=Outbox(
            OutboxStore(state), name=name, signer=signer, aad=aad, topics=topics, limits=limits
        ),
        inbox=Inbox(
            InboxStore(state),
            name=name,
            signer=signer,
            aad=aad,
            topics=topics,
            heads=log,
            shown_keys=token_keys,
        ),
        purse=Purse(token_store, token_keys, name=name, signer=signer, aad=aad, topics=topics),
        unnamed=Unnamed(topics),
        own_keys=OwnKeys(keystore, topics),
        certificate=OwnCertificate(keystore.directory, name=name, identity=keystore.identity.spki),
        totals=TotalsStore(state),
    )


def make_link(settings: Settings, keystore: KeyStore, pin: Pin) -> MqttLink:
    """Return the link to the broker of these settings. Raises SettingsError."""
    if not settings.broker:
        raise SettingsError("no broker is known: name one, or give it once to device trust")
    url = BrokerUrl.parse(settings.broker)
    directory = keystore.directory
    own_ca = directory / CA_FILE
    # A user of the broker's own has to do with a broker that is nobody's of this fleet.
    is_fleets = url.tls and not url.user and not settings.ca and own_ca.exists()
    credentials = _credentials(url, settings, keystore, pin, by_certificate=is_fleets)
    return MqttLink(
        url,
        client_id=keystore.name,
        credentials=credentials,
        ca=str(own_ca) if is_fleets else settings.ca,
        present=partial(_present, keystore.identity, directory / CERTIFICATE_FILE),
        anonymous=partial(_anonymous, url, credentials, directory / CERTIFICATE_FILE),
    )


def _anonymous(
    url: BrokerUrl, credentials: Credentials, certificate: Path
) -> tuple[str, str] | None:
    """With which user to connect without a name; None where the broker asks for a certificate.

    An account of the broker's own is used as it is: nobody else's would be let in.
    """
    if url.user:
        return credentials()
    if url.tls and certificate.exists():
        return None
    return ANONYMOUS, ANONYMOUS


def _present(identity: PrivateIdentity, certificate: Path, context: ssl.SSLContext) -> None:
    """Show the certificate, if there is one by now, to a broker that asks for it."""
    if not isinstance(identity, Identity):
        return  # in a token, which Python's ssl cannot use
    try:
        identity.present(context, certificate.read_bytes())
    except FileNotFoundError:
        pass
    except ssl.SSLError as error:
        raise SettingsError(
            f"{certificate} is damaged, or for another key: let the owner hand it over again"
        ) from error


def _credentials(
    url: BrokerUrl, settings: Settings, keystore: KeyStore, pin: Pin, *, by_certificate: bool
) -> Callable[[], tuple[str, str] | None]:
    """A broker's own account if the URL names one; else a fresh token that proves the identity."""
    if url.user:
        password = url.password
        if settings.password_file and not password:
            password = read_password(Path(settings.password_file))
        return lambda: (url.user, password)
    if settings.password_file:
        raise SettingsError(f"a password needs its user: expected mqtts://USER@host, got {url}")

    def login() -> tuple[str, str] | None:
        if by_certificate and (keystore.directory / CERTIFICATE_FILE).exists():
            return None  # the broker takes the user name from it
        token = make_token(
            keystore.name,
            audience=pin.fingerprint,
            now=int(time.time()),
            signer=keystore.identity,
            aad=pin.aad,
        )
        return keystore.name, token

    return login

"""Everything that a device consists of, but for its thread and its link."""

from dataclasses import dataclass

from device_sdk.anonymous.purse import Purse
from device_sdk.anonymous.unnamed import Unnamed
from device_sdk.enrolment.certificate import OwnCertificate
from device_sdk.freshness import RosterWatch
from device_sdk.gateways import Gateways
from device_sdk.inbox.inbox import Inbox
from device_sdk.keys.keystore import KeyStore
from device_sdk.keys.own_keys import OwnKeys
from device_sdk.keys.reader_keys import ReaderKeys
from device_sdk.outbox.outbox import Outbox
from device_sdk.queries import Queries
from device_sdk.state.roster_cache import RosterCache
from device_sdk.state.trusted_time import TrustedTime
from device_sdk.totals.store import TotalsStore
from device_sdk.transparency.watch import LogWatch
from device_sdk.trust import Pin
from device_sdk.wire.topics import Topics


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Each knows its own work; `device_sdk.routing` leads to each what is its own."""

    keystore: KeyStore
    pin: Pin
    topics: Topics
    time: TrustedTime
    rosters: RosterCache
    reader_keys: ReaderKeys
    gateways: Gateways
    log: LogWatch
    watch: RosterWatch
    queries: Queries
    outbox: Outbox
    inbox: Inbox
    purse: Purse
    unnamed: Unnamed
    own_keys: OwnKeys
    certificate: OwnCertificate
    totals: TotalsStore

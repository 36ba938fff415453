"""A device's certificate from a copy of its owner's public bundle: before it can connect at all."""

import time
from pathlib import Path

from device_sdk.enrolment.certificate import CA_FILE, OwnCertificate
from device_sdk.errors import SettingsError
from device_sdk.keys.keystore import JOIN_REQUEST
from device_sdk.trust import Pin, TrustError, VerifiedHead, verify_head
from device_sdk.wire import bundle as names
from device_sdk.wire.certificates import from_pem
from device_sdk.wire.errors import WireError
from device_sdk.wire.join_request import verify_join_request
from device_sdk.wire.roster_page import decode_bundle

_CERTIFICATES, _ROSTER = names.CERTIFICATES, names.ROSTER


def take_bundle(directory: Path, bundle: Path, pin: Pin) -> Pin:
    """Take the owner's authority and the device's certificate, if there is one.

    Without a certificate in the bundle the owner has not admitted the device yet, or not there.
    Returns the pin of somebody who knows how the bundle's root followed the pinned one.

    Raises:
        SettingsError: files that are not this owner's, or cannot be read or written.
    """
    own, head, now = own_certificate(directory), _head(bundle, pin), int(time.time())
    found = bundle / _CERTIFICATES / own.name
    try:
        if (bundle / CA_FILE).exists():
            listed = from_pem((bundle / CA_FILE).read_bytes())
            own.believe(listed, head.root.spki, head.former, now=now)
        if found.exists():
            own.take_chain(from_pem(found.read_bytes()), head, now=now)
    except WireError as error:
        raise SettingsError(f"the bundle {bundle} has no certificate for here: {error}") from error
    except OSError as error:
        raise SettingsError(f"{error.filename or bundle}: {error.strerror}") from error
    return pin.after(head.head.successions)


def own_certificate(directory: Path) -> OwnCertificate:
    """Return a device's certificate; its keys need not be unlocked. Raises SettingsError."""
    path = directory / JOIN_REQUEST
    try:
        request, _ = verify_join_request(path.read_bytes())
    except (OSError, WireError) as error:
        raise SettingsError(f"{path} does not say which device this is: {error}") from error
    return OwnCertificate(directory, name=request.name, identity=request.identity_spki)


def _head(bundle: Path, pin: Pin) -> VerifiedHead:
    """Return the roster's head: the owner may have replaced the root that is pinned."""
    try:
        head, _ = decode_bundle((bundle / _ROSTER).read_bytes())
        return verify_head(pin, head)
    except (OSError, WireError, TrustError) as error:
        raise SettingsError(f"the bundle {bundle} has no roster of its owner: {error}") from error

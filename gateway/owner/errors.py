"""What the owner's tools refuse."""

from device_sdk.wire.errors import SealgateError


class FleetError(SealgateError):
    """A fleet's directory that is missing, incomplete, damaged or in the way."""


class NotAdmittedError(SealgateError):
    """A join request that the owner's tools will not put into the roster."""


class NotChangedError(SealgateError):
    """A change of the roster that makes no sense, or would not fit the protocol's limits."""

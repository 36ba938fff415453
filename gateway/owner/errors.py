"""What the owner's tools refuse."""

from device_sdk.wire.errors import SealgateError


class FleetError(SealgateError):
    """A fleet's directory that is missing, incomplete, damaged or in the way."""


class NotAdmittedError(SealgateError):
    """A join request that the owner's tools will not put into the roster."""

"""What provers and verifiers refuse. A verifier raises ProofError, whatever it was given."""

from device_sdk.wire.errors import SealgateError


class ProofError(SealgateError):
    """A proof that does not prove its statement, or a statement that cannot be proved."""


class MalformedProofError(ProofError):
    """Bytes of another length than a proof's, or no canonical scalar or point.

    Attributes:
        what: the part, such as ``commitment``.
        expected: what must stand there; what came is not quoted.
    """

    def __init__(self, what: str, *, expected: str) -> None:
        super().__init__(f"{what}: expected {expected}")
        self.what = what
        self.expected = expected


class InvalidRelationError(ProofError):
    """A linear relation that says nothing, or leaves something free (sigma-protocols 3.5)."""


class RangeError(ProofError):
    """A range that no proof can be about: empty, too wide or outside of 64 bits."""


class OutOfRangeError(ProofError):
    """A value outside of its range, for which there is no proof; the value is not quoted."""


class ProofsNotInstalledError(SealgateError):
    """The library that proofs calculate with was not installed."""

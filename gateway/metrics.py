"""Figures for the operator, in Prometheus' text format, in a file that a collector picks up.

No listener: a gateway opens no port for it. Names and channels of the roster are the only labels,
so that nobody who sends can make figures without end.
"""

import os
import tempfile
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, generate_latest

from device_sdk.wire.reasons import Reason
from gateway.decide import Decision


class Metrics:
    """The figures of one gateway, from the start of its process."""

    def __init__(self, file: Path | None = None) -> None:
        """Count, and write into ``file`` at each `write`, if there is one."""
        self._file, self._is_failing = file, False
        self._log = structlog.get_logger("gateway.metrics")
        self.registry = CollectorRegistry()
        self._readings = Counter(
            "sealgate_readings",
            "Messages on channels with a rule for readings, by what was found out about them.",
            ("channel", "finding"),
            registry=self.registry,
        )
        self._refused = Counter(
            "sealgate_refused", "Messages that were not held.", ("reason",), registry=self.registry
        )

    def note(self, decision: Decision) -> None:
        """Count what one decision says."""
        if decision.reading is not None:
            self._readings.labels(decision.reading.channel, decision.reading.finding).inc()
        if decision.refused is not None:
            self.refused(decision.refused)

    def refused(self, reason: Reason, count: int = 1) -> None:
        """Count messages that were refused."""
        self._refused.labels(reason).inc(count)

    def readings(self, channel: str, finding: str) -> int:
        """Return how many messages of a channel were found to be so."""
        labels = {"channel": channel, "finding": finding}
        return int(self.registry.get_sample_value("sealgate_readings_total", labels) or 0)

    def write(self) -> None:
        """Write the file anew, whole or not at all. A disk that fails is said once, and no more."""
        if self._file is None:
            return
        try:
            _replace(self._file, generate_latest(self.registry))
        except OSError as error:
            if not self._is_failing:
                self._log.error("metrics_not_written", file=str(self._file), reason=str(error))
            self._is_failing = True
        else:
            self._is_failing = False


def _replace(path: Path, data: bytes) -> None:
    """Write a file that others may read, whole or not at all, through nobody's link."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
        try:
            new.write(data)
            new.flush()
            os.fchmod(new.fileno(), 0o644)
            Path(new.name).replace(path)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise

"""What the sensor of the demo measures: this machine, now."""

from dataclasses import asdict, dataclass
from typing import Any

import psutil


@dataclass(frozen=True, kw_only=True, slots=True)
class Readings:
    """Live values of this machine."""

    cpu_temperature: float | None
    """Degrees Celsius; None where there is no sensor, as in most virtual machines."""
    load: float
    """Runnable processes, averaged over a minute."""
    memory: float
    """Percent in use."""
    disk: float
    """Percent in use, of the file system that holds the root."""

    def as_record(self) -> dict[str, Any]:
        """Return the values by their names, for JSON."""
        return asdict(self)

    def for_people(self) -> list[tuple[str, str]]:
        """Return names and values with units."""
        heat = self.cpu_temperature
        return [
            ("CPU temperature", "no sensor" if heat is None else f"{heat:.1f} °C"),
            ("load", f"{self.load:.2f}"),
            ("memory", f"{self.memory:.1f} %"),
            ("disk", f"{self.disk:.1f} %"),
        ]


def measure() -> Readings:
    """Read the sensors."""
    return Readings(
        cpu_temperature=_cpu_temperature(),
        load=round(psutil.getloadavg()[0], 2),
        memory=psutil.virtual_memory().percent,
        disk=psutil.disk_usage("/").percent,
    )


def _cpu_temperature() -> float | None:
    try:
        sensors = psutil.sensors_temperatures()
    except (AttributeError, OSError):  # not on this system, or not for this user
        return None
    # The names that kernels give to the CPU's own sensor come first.
    known = ("coretemp", "k10temp", "cpu_thermal", "cpu-thermal", "soc_thermal")
    for name in (*known, *sensors):
        for reading in sensors.get(name, []):
            return round(float(reading.current), 1)
    return None

"""The operator's figures, in a file that a collector picks up."""

import os
import threading
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from device_sdk.wire.reasons import Reason
from gateway.decide import Decision
from gateway.metrics import Metrics
from gateway.reading_rule import Finding, Found

PROVED = Decision(reading=Found(channel="cellar", finding=Finding.PROVED))
UNPROVED = Decision(
    reading=Found(channel="cellar", finding=Finding.NOT_PROVED), refused=Reason.PROOF_INVALID
)


def samples(file: Path) -> dict[tuple[str, str], float]:
    """Return what a collector reads: (name, labels) to value."""
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def test_findings_and_refusals_are_counted_and_nothing_else_is(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.prom")
    for decision in (PROVED, PROVED, UNPROVED, Decision(), Decision(refused=Reason.EXPIRED)):
        metrics.note(decision)
    metrics.refused(Reason.QUOTA, 7)
    metrics.write()
    assert samples(tmp_path / "metrics.prom") == {
        ("sealgate_readings_total", "cellar,proved"): 2,
        ("sealgate_readings_total", "cellar,not-proved"): 1,
        ("sealgate_refused_total", "proof-invalid"): 1,
        ("sealgate_refused_total", "expired"): 1,
        ("sealgate_refused_total", "quota"): 7,
    }
    assert metrics.readings("cellar", "proved") == 2
    assert metrics.readings("attic", "proved") == 0


def test_each_gateway_of_a_process_counts_for_itself(tmp_path: Path) -> None:
    one, other = Metrics(), Metrics(tmp_path / "metrics.prom")
    one.note(PROVED)
    one.write()  # nowhere
    other.write()
    assert samples(tmp_path / "metrics.prom") == {}


def test_the_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    metrics = Metrics(file)
    metrics.note(PROVED)
    metrics.write()
    with file.open() as reading:  # a collector that began before
        metrics.note(PROVED)
        metrics.write()
        assert 'finding="proved"} 1.0' in reading.read()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.prom"]
    assert samples(file)["sealgate_readings_total", "cellar,proved"] == 2


def test_nothing_is_written_through_a_link_that_somebody_else_has_made(tmp_path: Path) -> None:
    file, precious = tmp_path / "metrics.prom", tmp_path / "precious"
    precious.write_text("of somebody's")
    links = [file, Path(f"{file}.{os.getpid()}.{threading.current_thread().ident}")]
    for link in links:
        link.symlink_to(precious)
    Metrics(file).write()
    assert precious.read_text() == "of somebody's"
    assert not file.is_symlink()
    assert samples(file) == {}


def test_a_disk_that_fails_is_said_once_until_it_works_again(tmp_path: Path) -> None:
    directory = tmp_path / "figures"
    metrics = Metrics(directory / "metrics.prom")
    with capture_logs() as logs:
        for _ in range(3):
            metrics.write()
        directory.mkdir()
        metrics.note(PROVED)
        metrics.write()
        assert len(samples(directory / "metrics.prom")) == 1
        (directory / "metrics.prom").unlink()
        directory.rmdir()
        for _ in range(3):
            metrics.write()
    assert [one["event"] for one in logs] == ["metrics_not_written"] * 2
    assert logs[0]["file"] == str(directory / "metrics.prom")

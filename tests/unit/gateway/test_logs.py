"""The log says what happens, and never what was said."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from gateway import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    logger = logging.getLogger("gateway")
    before = (logger.handlers, logger.level, logger.propagate)
    yield
    logger.handlers, logger.level, logger.propagate = before
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_bytes_and_whole_ids_are_cut_short_wherever_they_stand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", "json")
    message_id = bytes(range(16))
    structlog.get_logger("gateway.test").info(
        "refused",
        payload=b"secret",
        topic=f"send/a/{message_id.hex()}",
        id=logs.short_id(message_id),
    )
    (line,) = lines(capsys)
    assert line["payload"] == "<6 bytes>"
    assert line["topic"] == "send/a/00010203"
    assert line["id"] == "00010203"


def test_the_embedded_brokers_log_goes_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "json")
    logging.getLogger("gateway.embedded_broker").info("not this")
    logging.getLogger("gateway.embedded_broker").warning("%s reads too slowly", "hub")
    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == ("hub reads too slowly", "warning")

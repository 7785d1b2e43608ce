"""The log: one line per event, for machines or people, ours and the libraries' alike."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from sailplane_core.errors import InvalidRequest
from sailplane_runtime.settings import LogSettings
from sailplane_runtime.telemetry import configure


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def fail() -> None:
    password = "hunter2"
    raise ValueError(f"{len(password)} characters")


def test_json_has_one_object_per_line_with_a_plain_traceback() -> None:
    out = io.StringIO()
    configure(LogSettings("auto", "info"), out)
    log = structlog.get_logger()
    log.debug("unseen")
    try:
        fail()
    except ValueError:
        log.exception("it failed", attempt=1)
    logging.getLogger("library").warning("from %s", "afar")
    logging.getLogger("library").info("unseen")
    ours, theirs = map(json.loads, out.getvalue().splitlines())
    assert (ours["event"], ours["level"], ours["attempt"]) == ("it failed", "error", 1)
    assert "7 characters" in ours["exception"]
    assert "hunter2" not in out.getvalue().replace('password = "hunter2"', "")
    assert (theirs["event"], theirs["level"]) == ("from afar", "warning")


def test_console_is_for_people() -> None:
    out = io.StringIO()
    configure(LogSettings("console", "debug"), out)
    structlog.get_logger().debug("seen", answer=42)
    assert "seen" in out.getvalue()
    assert "answer=42" in out.getvalue()


@pytest.mark.parametrize("settings", [LogSettings(format="xml"), LogSettings(level="loud")])
def test_unknown_words_are_refused(settings: LogSettings) -> None:
    with pytest.raises(InvalidRequest, match="must be one of"):
        configure(settings)


def test_clients_that_go_away_are_no_news() -> None:
    out = io.StringIO()
    configure(LogSettings(format="json"), out)
    of_grpc = logging.getLogger("grpc._cython.cygrpc")
    of_grpc.error("Unexpected [%s] raised in core by servicer method [%s]", "ExecuteBatchError", "/x/y")
    of_grpc.error("something else")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["something else"]

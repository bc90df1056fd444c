import json
import logging

import pytest

from flows import tracing
from flows.logging import configure_logging, logger


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    root.handlers, root.level = before


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_one_json_object(capsys):
    configure_logging("info")
    logger("tiffin.test").info("happened", delivery="d-1")
    [line] = lines(capsys)
    assert (line["event"], line["delivery"], line["level"]) == ("happened", "d-1", "info")


def test_lines_below_the_level_are_left_out(capsys):
    configure_logging("info")
    logger("tiffin.test").debug("detail")
    assert lines(capsys) == []


@pytest.mark.parametrize("log", [logger("tiffin.test"), logging.getLogger("uvicorn.error")])
def test_an_exception_is_logged_by_type_and_place_and_never_by_message(capsys, log):
    configure_logging("info")
    try:
        raise ValueError("hush-hush")
    except ValueError:
        log.exception("failed")
    [line] = lines(capsys)
    assert line["error"] == "ValueError"
    assert "test_logging.py" in line["at"][-1]
    assert "hush-hush" not in json.dumps(line)


def test_a_line_of_a_request_names_its_trace(capsys):
    configure_logging("info")
    token = tracing.here.set("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    logger("tiffin.test").info("within")
    tracing.here.reset(token)
    logger("tiffin.test").info("outside")
    within, outside = lines(capsys)
    assert within["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "trace_id" not in outside

"""Where log lines go."""

import io
from contextlib import redirect_stderr

import pytest
import structlog

from stockbridge.app import configure_logging
from stockbridge.kernel.settings import Settings


@pytest.fixture(autouse=True)
def as_before():
    yield
    structlog.reset_defaults()


def test_lines_go_to_standard_error_as_it_is_when_they_are_written(capsys):
    log = structlog.get_logger()
    with io.StringIO() as first, redirect_stderr(first):
        configure_logging(Settings())
        log.warning("the first line")
        assert "the first line" in first.getvalue()
    log.warning("the second line")  # the one it was set up with is closed by now
    assert "the second line" in capsys.readouterr().err

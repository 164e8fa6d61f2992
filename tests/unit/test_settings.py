"""Settings: which source wins, what is accepted, what is never shown."""

from pathlib import Path

import pytest

from stockbridge.kernel.errors import Misconfigured
from stockbridge.kernel.settings import (
    FORMS,
    NAMES,
    Settings,
    load_settings,
    mask_password,
    unknown_variables,
)


@pytest.mark.parametrize(
    "flag,variable,line,value,source",
    [
        (None, None, None, 8080, "default"),
        (None, None, "port = 9001", 9001, "file"),
        (None, "9002", None, 9002, "environment STOCKBRIDGE_PORT"),
        (None, "9002", "port = 9001", 9002, "environment STOCKBRIDGE_PORT"),
        (None, "", "port = 9001", 9001, "file"),
        (9003, None, None, 9003, "flag --port"),
        (9003, None, "port = 9001", 9003, "flag --port"),
        (9003, "9002", None, 9003, "flag --port"),
        (9003, "9002", "port = 9001", 9003, "flag --port"),
    ],
)
def test_the_nearest_source_wins(tmp_path, flag, variable, line, value, source):
    if line is not None:
        (tmp_path / "stockbridge.toml").write_text(line)
    environment = {} if variable is None else {"STOCKBRIDGE_PORT": variable}
    settings = load_settings({"port": flag}, environment, tmp_path)
    assert settings.port == value
    assert settings.sources["port"].startswith(source)
    assert settings.sources["host"] == "default"


def test_the_file_may_be_named(tmp_path):
    named = tmp_path / "other.toml"
    named.write_text('host = "10.0.0.5"\ndata_dir = "/srv/stock"')
    settings = load_settings({}, {"STOCKBRIDGE_CONFIG": str(named)}, tmp_path)
    assert (settings.host, settings.data_dir) == ("10.0.0.5", Path("/srv/stock"))
    assert settings.sources["host"] == f"file {named} host"


@pytest.mark.parametrize(
    "name,value",
    [
        ("port", "0"),
        ("port", "65536"),
        ("port", "80a"),
        ("workers", "0"),
        ("connections", "1000"),
        ("log_format", "xml"),
        ("log_level", "loud"),
        ("dsn", "localhost"),
        ("nats_url", "http://host"),
        ("nats_url", "nats://a:4222,b"),
        ("host", "  "),
    ],
)
def test_a_wrong_value_is_refused_by_name_value_and_form(tmp_path, name, value):
    variable = f"STOCKBRIDGE_{name.upper()}"
    with pytest.raises(Misconfigured) as caught:
        load_settings({}, {variable: value}, tmp_path)
    message = str(caught.value)
    assert f"environment {variable} is {value!r}" in message
    assert FORMS[name][0] in message


@pytest.mark.parametrize("line", ["port = true", "port = 1.5", "host = 3", "dsn = []"])
def test_a_wrong_type_in_the_file_is_refused(tmp_path, line):
    (tmp_path / "stockbridge.toml").write_text(line)
    with pytest.raises(Misconfigured, match=r"stockbridge.toml (port|host|dsn) is .*; give "):
        load_settings({}, {}, tmp_path)


@pytest.mark.parametrize(
    "content,message",
    [("prot = 1", "prot is no setting; the settings are dsn"), ("port =", "is not TOML")],
)
def test_a_wrong_file_is_refused(tmp_path, content, message):
    (tmp_path / "stockbridge.toml").write_text(content)
    with pytest.raises(Misconfigured, match=message):
        load_settings({}, {}, tmp_path)


def test_a_named_file_must_exist(tmp_path):
    gone = tmp_path / "gone.toml"
    with pytest.raises(Misconfigured, match=r"gone.toml cannot be read"):
        load_settings({}, {"STOCKBRIDGE_CONFIG": str(gone)}, tmp_path)


def test_secrets_are_never_shown(tmp_path):
    key = "k" * 40
    settings = load_settings(
        {"dsn": "postgresql://hub:hunter2@db/stock", "nats_url": "nats://hunter2@n:4222"},
        {"STOCKBRIDGE_SECRET_KEY": key},
        tmp_path,
    )
    for text in (repr(settings), str(settings), str(settings.shown())):
        assert key not in text
        assert "hunter2" not in text
    assert settings.secret_key == key
    with pytest.raises(Misconfigured) as caught:
        load_settings({"secret_key": "hunter2"}, {}, tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "dsn,shown",
    [
        ("postgresql://db/stock", "postgresql://db/stock"),
        ("postgresql://hub@db/stock", "postgresql://hub@db/stock"),
        ("postgresql://hub:p@ss@db/stock", "postgresql://hub:***@db/stock"),
        ("postgresql://db/stock?password=pass&x=1", "postgresql://db/stock?password=***&x=1"),
        ("host=db password=pass user=hub", "host=db password=*** user=hub"),
        ("host=db password = 'pa ss\\'x' user=hub", "host=db password = *** user=hub"),
        ("nats://u:pass@a:1,nats://u:pass@b:2", "nats://u:***@b:2"),
    ],
)
def test_mask_password(dsn, shown):
    assert mask_password(dsn) == shown


def test_every_setting_has_a_form_and_a_default_that_fits():
    assert set(FORMS) == set(NAMES)
    defaults = Settings()
    for name, (_, accept) in FORMS.items():
        value = getattr(defaults, name)
        assert value is None or accept(value) == value


def test_misspelt_variables_are_found():
    environment = {
        "STOCKBRIDGE_PROT": "1",
        "STOCKBRIDGE_PORT": "1",
        "STOCKBRIDGE_CONFIG": "x",
        "HOME": "/",
    }
    assert unknown_variables(environment) == ["STOCKBRIDGE_PROT"]

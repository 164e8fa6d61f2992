"""Settings: flags win over the environment, the environment over the file, the file over defaults.

The environment is `STOCKBRIDGE_<NAME>`. The file is TOML with the same names in lower case:
`STOCKBRIDGE_CONFIG`, else `stockbridge.toml` in the working directory.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stockbridge.kernel.errors import Misconfigured

PREFIX = "STOCKBRIDGE_"
FILE_NAME = "stockbridge.toml"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
# Variables of ours that are no settings of the hub: where the file and the programs are.
_OTHER_VARIABLES = {CONFIG_VARIABLE, f"{PREFIX}PG_BIN"}
_MASK = "***"
_PORT_MAX = 65535
_WORKERS_MAX = 64
_CONNECTIONS_MAX = 90
_DAYS_MAX = 36_500
_SECRET_CHARACTERS_MIN = 32
_URL_PASSWORD = re.compile(r"(//[^:@/?]*:).*@")
_URL_TOKEN = re.compile(r"//[^:@/,]+@")
_WORD_PASSWORD = re.compile(r"(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)")


def default_data_dir() -> Path:
    """Return where data is kept when nothing says: below the home, for root /var/lib.

    Root's embedded database runs as an unprivileged user, who cannot enter root's home.
    """
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/var/lib/stockbridge")
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "stockbridge"


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of a process; `sources` tells for each name what gave its value."""

    dsn: str | None = None
    data_dir: Path = field(default_factory=default_data_dir)
    connectors_dir: Path | None = None
    exchange_dir: Path | None = None
    nats_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    log_format: str = "text"
    log_level: str = "info"
    secret_key: str | None = None
    workers: int = 1
    connections: int = 8
    deliveries_days: int = 90
    identity_days: int = 90
    sources: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.shown().items())
        return f"Settings({shown})"

    @property
    def exchange(self) -> Path:
        """Below which partners' folders are."""
        return self.exchange_dir or self.data_dir / "exchange"

    def shown(self) -> dict[str, str]:
        """Every setting as text for people; passwords and keys are masked."""
        return {name: _shown(name, getattr(self, name)) for name in NAMES}


NAMES = tuple(entry.name for entry in fields(Settings) if entry.name != "sources")


def load_settings(
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Return the settings from all sources; a flag that is None was not given.

    Raises Misconfigured naming the setting, its source, the value and the accepted form.
    """
    variables = os.environ if environment is None else environment
    layers: list[tuple[str, Mapping[str, object]]] = [
        ("flag", {name: value for name, value in (flags or {}).items() if value is not None}),
        ("environment", _from_environment(variables)),
        _from_file(variables, folder or Path.cwd()),
    ]
    values: dict[str, Any] = {}
    sources = dict.fromkeys(NAMES, "default")
    for source, layer in reversed(layers):
        for name, value in layer.items():
            label = _label(source, name)
            if name not in NAMES:
                known = ", ".join(NAMES)
                raise Misconfigured(f"{label} is no setting; the settings are {known}")
            values[name] = _accepted(name, label, value)
            sources[name] = label
    return Settings(**values, sources=sources)


def _label(source: str, name: str) -> str:
    if source == "flag":
        return f"flag --{name.replace('_', '-')}"
    if source == "environment":
        return f"environment {PREFIX}{name.upper()}"
    return f"{source} {name}"


def _from_environment(variables: Mapping[str, str]) -> dict[str, str]:
    # An empty variable counts as not given: that is how compose files and shells unset one.
    # Variables of ours that are no setting are left alone; the add-ons of a site may have some.
    return {
        name: variables[f"{PREFIX}{name.upper()}"]
        for name in NAMES
        if variables.get(f"{PREFIX}{name.upper()}")
    }


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the STOCKBRIDGE_ variables that name no setting, probably misspelt."""
    known = {f"{PREFIX}{name.upper()}" for name in NAMES} | _OTHER_VARIABLES
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _from_file(variables: Mapping[str, str], folder: Path) -> tuple[str, Mapping[str, object]]:
    named = variables.get(CONFIG_VARIABLE)
    path = Path(named) if named else folder / FILE_NAME
    if not named and not path.exists():
        return f"file {path}", {}
    try:
        return f"file {path}", tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"settings file {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"settings file {path} is not TOML: {error}") from error


def _accepted(name: str, label: str, value: object) -> object:
    form, accept = FORMS[name]
    try:
        return accept(value)
    except (ValueError, TypeError):
        shown = _shown(name, value)
        raise Misconfigured(f"{label} is {shown!r}; give {form}") from None


def _shown(name: str, value: object) -> str:
    if value is None:
        return ""
    if name == "secret_key":
        return _MASK
    if name == "nats_url":
        return mask_password(_URL_TOKEN.sub(f"//{_MASK}@", str(value)))
    return mask_password(str(value)) if name == "dsn" else str(value)


def mask_password(text: str) -> str:
    """Return a URL or key=value connection string with its password masked."""
    return _WORD_PASSWORD.sub(rf"\1{_MASK}", _URL_PASSWORD.sub(rf"\1{_MASK}@", text))


def _integer(low: int, high: int) -> Callable[[object], int]:
    def accept(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise TypeError(value)
        number = int(value)
        if not low <= number <= high:
            raise ValueError(value)
        return number

    return accept


def _one_of(*words: str) -> Callable[[object], str]:
    def accept(value: object) -> str:
        if value not in words:
            raise ValueError(value)
        return str(value)

    return accept


def _text(value: object, characters_min: int = 1) -> str:
    if not isinstance(value, str) or len(value.strip()) < characters_min:
        raise ValueError(value)
    return value.strip()


def _dsn(value: object) -> str:
    text = _text(value)
    if not text.startswith(("postgresql://", "postgres://")) and "=" not in text:
        raise ValueError(value)
    return text


def _nats_url(value: object) -> str:
    text = _text(value)
    for url in text.split(","):
        parts = urlsplit(url.strip())
        if parts.scheme not in {"nats", "tls", "ws", "wss"} or not parts.hostname:
            raise ValueError(value)
    return text


def _folder(value: object) -> Path:
    text = str(value) if isinstance(value, Path) else _text(value)
    return Path(text).expanduser().absolute()


# The accepted form, in words, and the function that makes a value or raises.
FORMS: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "dsn": ("postgresql://user:password@host:5432/database, or host=... dbname=...", _dsn),
    "data_dir": ("the path of a folder", _folder),
    "exchange_dir": ("the path of a folder below which partners' folders are", _folder),
    "connectors_dir": ("the path of a folder with connectors of your own", _folder),
    "nats_url": ("nats://host:4222, or several with commas", _nats_url),
    "host": ("the address to listen on, such as 127.0.0.1 or 0.0.0.0", _text),
    "port": (f"a whole number from 1 to {_PORT_MAX}", _integer(1, _PORT_MAX)),
    "log_format": ("text or json", _one_of("text", "json")),
    "log_level": (
        "debug, info, warning or error",
        _one_of("debug", "info", "warning", "error"),
    ),
    "secret_key": (
        f"a random secret of {_SECRET_CHARACTERS_MIN} characters or more (openssl rand -hex 32)",
        lambda value: _text(value, _SECRET_CHARACTERS_MIN),
    ),
    "workers": (f"a whole number from 1 to {_WORKERS_MAX}", _integer(1, _WORKERS_MAX)),
    "connections": (
        f"a whole number from 1 to {_CONNECTIONS_MAX}: database connections of one process",
        _integer(1, _CONNECTIONS_MAX),
    ),
    "deliveries_days": (
        f"a whole number from 1 to {_DAYS_MAX}: how long settled deliveries are kept",
        _integer(1, _DAYS_MAX),
    ),
    "identity_days": (
        f"a whole number from 1 to {_DAYS_MAX}: how long a message sent again is known as a repeat",
        _integer(1, _DAYS_MAX),
    ),
}

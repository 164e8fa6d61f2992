"""Finds connectors by their folders and opens them: the implementation of `Connectors`.

A folder with a manifest.toml is the registration. Its code is imported when it is first needed:
`client.py` has `connect(opened, http)`, `mapping.py` has `decode(topic, body, config)` and, where
a configuration can be wrong in ways a manifest cannot say, `faults(config)`.
"""

import importlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import structlog

from stockbridge import connectors
from stockbridge.connectors.kit import configuration, manifests
from stockbridge.connectors.kit.guard import Guarded
from stockbridge.connectors.kit.http import Http
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import Connector, Decoded, Opened
from stockbridge.kernel.errors import Misconfigured

_OTHERS: Final = frozenset({"kit", "mapped"})
_log = structlog.get_logger(__name__)


def find(name: str, connectors_dir: Path | None = None) -> tuple[str, "Registry"]:
    """A connector by its name, or by the path of a folder of one's own; raises Misconfigured."""
    registry = Registry.of(connectors_dir)
    if name in registry.names():
        return name, registry
    folder = Path(name).resolve()
    if not (folder / manifests.FILE).is_file():
        known = ", ".join(registry.names())
        raise Misconfigured(f"no connector {name}: give one of {known}, or a folder")
    return folder.name, Registry([folder.parent])


class Registry:
    """All connectors that come with the hub, and those in `folders`: folders of such folders."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        for folder in folders:
            # Their code is imported as stockbridge.connectors.NAME, like ours.
            if str(folder) not in connectors.__path__:
                connectors.__path__.append(str(folder))
        roots: list[Traversable] = [files(connectors.__name__), *folders]
        self._folders = {
            entry.name: entry
            for root in roots
            for entry in sorted(root.iterdir(), key=lambda entry: entry.name)
            if entry.name not in _OTHERS and (entry / manifests.FILE).is_file()
        }
        self._manifests: dict[str, Manifest] = {}

    @classmethod
    def of(cls, connectors_dir: Path | None) -> "Registry":
        """Ours, and those in the folder of the setting `connectors_dir`; raises Misconfigured."""
        if connectors_dir is None:
            return cls()
        if not connectors_dir.is_dir():
            raise Misconfigured(f"connectors_dir {connectors_dir} is no folder")
        return cls([connectors_dir])

    def names(self) -> Sequence[str]:
        """Their names, sorted."""
        return sorted(self._folders)

    def folder(self, name: str) -> Traversable:
        """A connector's folder; raises Misconfigured for a name nobody has."""
        if name not in self._folders:
            raise Misconfigured(f"no connector {name}; there are {', '.join(self.names())}")
        return self._folders[name]

    def manifest(self, name: str) -> Manifest:
        """A connector's manifest; raises Misconfigured."""
        if name not in self._manifests:
            self._manifests[name] = manifests.read(self.folder(name))
        return self._manifests[name]

    def faults(self, name: str, config: Mapping[str, Any]) -> Sequence[str]:
        """What is wrong with a configuration, each with the field and the fix."""
        manifest = self.manifest(name)
        found = configuration.faults(manifest, config)
        more = getattr(self.module(name, "mapping"), "faults", None)
        if not found and more is not None:
            found = list(more(configuration.complete(manifest, config)))
        return found

    def open(self, name: str, opened: Opened, *, timeout_seconds: float | None = None) -> Connector:
        """A connection; raises Misconfigured for a configuration or a secret that is missing."""
        manifest = self.manifest(name)
        wrong = [*self.faults(name, opened.config)]
        wrong += [
            f"secret {secret.name}: is missing; {secret.help}"
            for secret in manifest.secrets
            if secret.required and not opened.secrets.get(secret.name)
        ]
        if wrong:
            raise Misconfigured(f"{opened.system}: {'; '.join(wrong)}")
        ready = Opened(
            opened.system,
            configuration.complete(manifest, {**opened.config, "system": opened.system}),
            opened.secrets,
            opened.environment,
            opened.hear_limit,
            opened.journal,
            opened.exchange_dir,
        )
        http = Http(manifest, ready, timeout_seconds=timeout_seconds)
        return Guarded(self.module(name, "client").connect(ready, http), manifest, http)

    def decode(self, name: str, topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
        """The events of a kept message; never raises."""
        try:
            ready = configuration.complete(self.manifest(name), config)
            decoded: Decoded = self.module(name, "mapping").decode(topic, body, ready)
        except Misconfigured as error:
            return Undecodable("connector_missing", str(error))
        except Exception as error:  # noqa: BLE001 - the message waits for a corrected connector
            _log.warning("decoder failed", connector=name, topic=topic, error=type(error).__name__)
            detail = f"{name} cannot read this {topic}: {type(error).__name__}: {error}"
            return Undecodable("decoder_failed", detail)
        return decoded

    def module(self, name: str, part: str) -> ModuleType:
        """A module of a connector: client, mapping or simulator."""
        self.folder(name)
        try:
            return importlib.import_module(f"{connectors.__name__}.{name}.{part}")
        except ImportError as error:
            raise Misconfigured(f"connector {name} cannot be imported: {error}") from error

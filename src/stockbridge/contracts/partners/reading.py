"""Reads kept messages of systems with a connector: their bytes to command bodies. Pure.

Their contract is `connector:SYSTEM:TOPIC.v1`; the system's configuration of now decides, so a
message that misses something in it is due again as soon as the system is put anew.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from stockbridge.contracts.base import Shape
from stockbridge.contracts.events.decoding import Undecodable, Unreadable, command_of
from stockbridge.contracts.partners.model import Connectors

PREFIX: Final = "connector:"
DECODER_FAILED: Final = "decoder_failed"
"""A defect of the connector: its message waits for a corrected one and a replay."""
CONFIG: Final = "config"
"""What a decoder says is missing when the system's configuration lacks a word, as a location."""
_VERSION: Final = ".v1"


class Configured(NamedTuple):
    """A system's connector and configuration; `version` grows whenever the system is put."""

    connector: str
    config: Mapping[str, Any]
    version: int


def contract_of(system: str, topic: str) -> str:
    """The contract of a system's messages on a topic."""
    return f"{PREFIX}{system}:{topic}{_VERSION}"


class PartnerReader:
    """Reads by what is configured; immutable."""

    def __init__(self, connectors: Connectors | None, systems: Mapping[str, Configured]) -> None:
        self._connectors = connectors
        self._systems = systems

    def read(self, contract: str, body: bytes) -> list[Shape] | Undecodable:
        """The command bodies that a message asks for; empty: it tells nothing that concerns us."""
        system, topic = self._named(contract)
        configured = self._systems.get(system)
        if configured is None or self._connectors is None:
            detail = f"system {system} has no connector now; put it with one"
            return Undecodable("no_connector", detail, (f"system:{system}:0",))
        config = {**configured.config, "system": system}
        told = self._connectors.decode(configured.connector, topic, body, config)
        if isinstance(told, Undecodable):
            return _with_keys(told, system, topic, configured.version)
        found: list[Shape] = []
        for index, event in enumerate(told):
            if isinstance(event, Undecodable):
                fault = _with_keys(event, system, topic, configured.version)
                found.append(Unreadable(fault.code, fault.detail, list(fault.missing)))
                continue
            made = command_of(event.type, dict(event.data))
            if isinstance(made, Undecodable):
                failed = Undecodable(DECODER_FAILED, f"event {index}: {made.detail}")
                return _with_keys(failed, system, topic, configured.version)
            found += made
        return found

    def _named(self, contract: str) -> tuple[str, str]:
        """System and topic; both may have colons in them, so systems that exist decide."""
        parts = contract.removeprefix(PREFIX).removesuffix(_VERSION).split(":")
        for cut in range(len(parts) - 1, 0, -1):
            system = ":".join(parts[:cut])
            if system in self._systems:
                return system, ":".join(parts[cut:])
        return ":".join(parts[:-1]), parts[-1]


def _with_keys(told: Undecodable, system: str, topic: str, version: int) -> Undecodable:
    """The wait keys in words of the inbox: `system:` is met when the system is put anew."""
    if told.code == DECODER_FAILED:
        return told._replace(missing=(f"decoder:{system}:{topic}",))
    anew = f"system:{system}:{version}"
    if told.code == "connector_missing":
        return told._replace(missing=(anew,))
    return told._replace(missing=tuple(anew if key == CONFIG else key for key in told.missing))

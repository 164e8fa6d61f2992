"""The one door: submit(command) -> outcome."""

from stockbridge.domain.world.command import Command
from stockbridge.engine.engine import Engine
from stockbridge.engine.request import Outcome

__all__ = ["Command", "Engine", "Outcome"]

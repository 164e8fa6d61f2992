"""Takes secrets out of texts that people and logs may see."""

from base64 import b64encode
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

MASK: Final = "***"
_CHARACTERS_MIN: Final = 4


class Scrubber:
    """Replaces each secret, also as base64 or percent-encoded, by a mask."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Keep one more secret out: a token that was fetched."""
        if len(secret) >= _CHARACTERS_MIN:
            encoded = b64encode(secret.encode()).decode()
            self._forms |= {secret, quote(secret, safe=""), encoded, encoded.rstrip("=")}

    def __call__(self, text: str) -> str:
        for form in sorted(self._forms, key=len, reverse=True):
            if form in text:
                text = text.replace(form, MASK)
        return text

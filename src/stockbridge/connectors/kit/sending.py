"""Sends a simulated partner's webhooks to the hub, as well or as badly as partners do."""

import random
from collections.abc import Sequence
from typing import NamedTuple

import aiohttp

from stockbridge.contracts.partners.model import WebhookRequest


class Weather(NamedTuple):
    """How badly webhooks travel: shares that are lost or sent twice, and whether order is kept."""

    lost_share: float = 0.0
    repeated_share: float = 0.0
    is_shuffled: bool = False


class Sent(NamedTuple):
    """What became of them: the statuses of those that were sent, and those that were lost."""

    statuses: list[int]
    lost: list[WebhookRequest]


def travelled(
    requests: Sequence[WebhookRequest], weather: Weather, chance: random.Random
) -> tuple[list[WebhookRequest], list[WebhookRequest]]:
    """(what arrives in its order, what is lost)."""
    arriving: list[WebhookRequest] = []
    lost: list[WebhookRequest] = []
    for request in requests:
        if chance.random() < weather.lost_share:
            lost.append(request)
            continue
        arriving.append(request)
        if chance.random() < weather.repeated_share:
            arriving.append(request)
    if weather.is_shuffled:
        chance.shuffle(arriving)
    return arriving, lost


async def send(
    url: str,
    requests: Sequence[WebhookRequest],
    weather: Weather = Weather(),  # noqa: B008 - an immutable value
    seed: int = 0,
) -> Sent:
    """Post them to the hub's address for the system, `/v1/webhooks/{system}`."""
    chance = random.Random(seed)  # noqa: S311 - which webhooks are lost, not a secret
    arriving, lost = travelled(requests, weather, chance)
    statuses: list[int] = []
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        for request in arriving:
            headers = {"Content-Type": "application/json", **request.headers}
            at = f"{url}?{request.query}" if request.query else url
            try:
                async with session.request(
                    request.method, at, data=request.body, headers=headers
                ) as answer:
                    statuses.append(answer.status)
            except aiohttp.ClientError:
                lost.append(request)
    return Sent(statuses, lost)

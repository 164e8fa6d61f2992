"""The table of routes: everything the API offers, once."""

from stockbridge.ingress import (
    availability,
    contracts,
    deliveries,
    epcis,
    events,
    facts,
    listings,
    masters,
    messages,
    operations,
    orders,
    platform,
    polling_feeds,
    reservations,
    snapshots,
    streams,
    systems_api,
    uploads,
    webhooks,
)
from stockbridge.ingress.call import Route

ROUTES: tuple[Route, ...] = (
    *availability.ROUTES,
    *reservations.ROUTES,
    *orders.ROUTES,
    *facts.ROUTES,
    *events.ROUTES,
    *epcis.ROUTES,
    *streams.ROUTES,
    *webhooks.ROUTES,
    *polling_feeds.ROUTES,
    *snapshots.ROUTES,
    *masters.ROUTES,
    *systems_api.ROUTES,
    *uploads.ROUTES,
    *contracts.ROUTES,
    *listings.ROUTES,
    *messages.ROUTES,
    *deliveries.ROUTES,
    *operations.ROUTES,
    *platform.ROUTES,
)
"""Routing, OpenAPI and the reference all come from here."""

"""Every connector against its own simulator; folders are found, nobody lists them."""

import pytest

from stockbridge.connectors.kit.conformance import CASES, Case
from stockbridge.connectors.kit.conformance.bench import bench
from stockbridge.connectors.kit.conformance.waivers import WAIVERS
from stockbridge.connectors.kit.registry import Registry

REGISTRY = Registry()
OVER_HTTP = [name for name in REGISTRY.names() if REGISTRY.manifest(name).hosts]
"""Simulators speak HTTP; a connector that calls no host has no use for one, and its own tests."""
CASE_NAMES = {case.name for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("name", OVER_HTTP)
async def test_a_connector_keeps_its_promises(
    name: str, case: Case, request: pytest.FixtureRequest
) -> None:
    lack = case.lacks(REGISTRY.manifest(name))
    if lack is not None:
        pytest.skip(f"{name}: {lack}")
    reason = WAIVERS.get((name, case.name))
    if reason is not None:
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    async with bench(REGISTRY, name) as made:
        await case.run(made)


def test_waivers_name_connectors_and_cases() -> None:
    for name, case in WAIVERS:
        assert name in REGISTRY.names()
        assert case in CASE_NAMES

"""One suite for every connector: what each must keep, run against its own simulator."""

from stockbridge.connectors.kit.conformance.bench import Bench, Case, Nonconforming
from stockbridge.connectors.kit.conformance.house import CASES as HOUSE
from stockbridge.connectors.kit.conformance.inbound import CASES as INBOUND
from stockbridge.connectors.kit.conformance.operations import CASES as OPERATIONS
from stockbridge.connectors.kit.conformance.stock import CASES as STOCK

CASES = (*HOUSE, *STOCK, *OPERATIONS, *INBOUND)

__all__ = ["CASES", "Bench", "Case", "Nonconforming"]

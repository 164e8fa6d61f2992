"""Every document against the schema that Shopify publishes, and the simulator's answers too."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_client_schema,
    execute_sync,
    parse,
    validate,
)

from stockbridge.connectors.kit.conformance.bench import bench
from stockbridge.connectors.kit.registry import Registry
from stockbridge.connectors.shopify import documents
from stockbridge.connectors.shopify.simulator import Simulator
from stockbridge.connectors.shopify.tests.acting import everything
from stockbridge.connectors.shopify.wire import name_of

SCHEMA = Path(__file__).parents[5] / "../shared/contracts/shopify/admin_2026-10.json.gz"
NAMES = sorted(name for name in vars(documents) if name.isupper() and not name.startswith("_"))
POINTS_MAX = 1_000
VARIABLES = {"first": 10, "items": 250}
"""How many of a list are asked for by variables, at most."""

needs_schema = pytest.mark.skipif(
    not SCHEMA.is_file(), reason="../shared/contracts/shopify is not beside the project"
)


@cache
def schema() -> GraphQLSchema:
    said = json.loads(gzip.decompress(SCHEMA.read_bytes()))
    return build_client_schema(said.get("data", said), assume_valid=True)


@needs_schema
@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_valid(name):
    assert validate(schema(), parse(getattr(documents, name))) == []


@needs_schema
def test_no_deprecated_field_is_asked_for():
    from graphql import NoDeprecatedCustomRule  # noqa: PLC0415 - this test's alone

    for name in NAMES:
        found = validate(schema(), parse(getattr(documents, name)), [NoDeprecatedCustomRule])
        assert not found, name


def cost(document: DocumentNode, sizes: dict[str, int]) -> int:
    fragments = {
        node.name.value: node.selection_set
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }

    def of(selections: SelectionSetNode | None) -> int:
        total = 0
        for each in selections.selections if selections else ():
            if isinstance(each, FragmentSpreadNode):
                total += of(fragments[each.name.value])
            elif isinstance(each, FieldNode) and each.selection_set is not None:
                times = size(each)
                inner = of(each.selection_set)
                is_list = each.name.value in ("nodes", "pageInfo")
                total += times * inner if times else inner + (0 if is_list else 1)
                total += times
            elif isinstance(each, InlineFragmentNode):
                total += of(each.selection_set)
        return total

    def size(field: FieldNode) -> int:
        for argument in field.arguments or ():
            if argument.name.value in ("first", "ids"):
                value = argument.value
                if isinstance(value, IntValueNode):
                    return int(value.value)
                assert not isinstance(value, ListValueNode)
                return sizes[value.name.value]  # type: ignore[attr-defined]
        return 0

    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return of(operation.selection_set)


@pytest.mark.parametrize("name", NAMES)
def test_a_document_costs_less_than_one_call_may(name):
    sizes = VARIABLES | ({"first": 200} if name == "CATALOG" else {})
    assert cost(parse(getattr(documents, name)), sizes) <= POINTS_MAX


def resolve(source: Any, info: Any, **_arguments: Any) -> Any:
    if info.field_name == "__typename":
        return info.parent_type.name
    return source[info.field_name]


@needs_schema
async def test_the_simulator_takes_and_answers_what_shopify_would():
    async with bench(Registry(), "shopify") as made:
        simulator = made.simulator
        assert isinstance(simulator, Simulator)
        await everything(made, simulator)
        asked = set()
        for raw, data in simulator.answers:
            body = json.loads(raw)
            result = execute_sync(
                schema(), parse(body["query"]), root_value=data, field_resolver=resolve,
                variable_values=body["variables"], operation_name=body["operationName"],
            )  # fmt: skip
            assert not result.errors, (body["operationName"], result.errors)
            assert result.data == data, body["operationName"]
            asked.add(body["operationName"])
        assert asked == {name_of(getattr(documents, name)) for name in NAMES}

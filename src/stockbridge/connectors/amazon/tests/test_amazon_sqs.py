"""The queue against moto's SQS on loopback, and signatures against botocore's."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from moto.server import ThreadedMotoServer

from stockbridge.connectors.amazon import sqs
from stockbridge.connectors.amazon.simulator import Simulator
from stockbridge.connectors.kit.conformance.bench import bench
from stockbridge.connectors.kit.registry import Registry

KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "an/example+secret"}
REGION = "eu-west-1"


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(moto_url) -> Iterator[Any]:
    made = boto3.client("sqs", endpoint_url=moto_url, region_name=REGION, **KEYS)
    yield made
    made.close()


@contextlib.asynccontextmanager
async def store(client: Any, name: str) -> AsyncIterator[tuple[Simulator, Any, str]]:
    """A store whose notifications go to a queue of moto."""
    url = client.create_queue(QueueName=name)["QueueUrl"]
    async with bench(Registry(), "amazon") as made:
        simulator = made.simulator
        assert isinstance(simulator, Simulator)
        config = {**simulator.config(), "queue_url": url, "queue_region": REGION}
        yield simulator, made.open(config=config, secrets={**simulator.secrets(), **KEYS}), url


def waiting(client: Any, url: str) -> tuple[int, int]:
    """Messages to be seen, and hidden ones."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(found[names[0]]), int(found[names[1]])


async def test_a_real_queue_is_read_to_its_end_and_emptied(client):
    async with store(client, "orders") as (simulator, connector, url):
        simulator.list_item("A", 99)
        numbers = {simulator.order({"A": 1}).number for _ in range(8)}
        for body in simulator.notifications():
            client.send_message(QueueUrl=url, MessageBody=body)
        found, cursor, kept = [], None, False
        while True:
            page = await connector.poll("notifications", None, cursor)
            found += [m for m in page.messages if m.topic == "order"]
            if not kept:
                kept = True
                assert waiting(client, url)[1] == 10, "hidden, and not deleted yet"
            cursor = page.cursor
            if cursor is None:
                break
        assert {m.message_id.split("/")[1] for m in found} == numbers
        assert waiting(client, url) == (0, 0)


async def test_the_queue_is_tested(client):
    async with store(client, "tested") as (_simulator, connector, url):
        assert [check.is_good for check in await connector.test()] == [True, True, True]
        client.delete_queue(QueueUrl=url)
        last = (await connector.test())[2]
        assert (last.is_good, "queue_url" in last.fix) == (False, True)


@pytest.mark.parametrize("netloc", ["sqs.eu-west-1.amazonaws.com", "127.0.0.1:4566"])
def test_signatures_are_those_of_botocore(netloc):
    body = b'{"QueueUrl":"https://sqs.eu-west-1.amazonaws.com/1/q"}'
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.X"}
    request = AWSRequest("POST", f"https://{netloc}/", headers=dict(headers), data=body)
    key_id, secret = KEYS.values()
    SigV4Auth(BotoCredentials(key_id, secret), "sqs", REGION).add_auth(request)
    when = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = sqs.signed(urlsplit(f"https://{netloc}/").netloc, headers, body,
                      sqs.Credentials(key_id, secret, REGION), when)  # fmt: skip
    assert ours["Authorization"] == request.headers["Authorization"]


@pytest.mark.parametrize(
    "url, configured, region",
    [
        ("https://sqs.us-west-2.amazonaws.com/1/q", "", "us-west-2"),
        ("https://sqs.us-west-2.amazonaws.com/1/q", "eu-west-1", "eu-west-1"),
        ("http://127.0.0.1:4566/1/q", "", "us-east-1"),
    ],
)
def test_the_region_is_in_the_address(url, configured, region):
    assert sqs.region_of(url, configured) == region

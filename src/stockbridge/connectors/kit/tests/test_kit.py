"""The kit beside HTTP: finding, judging, guarding, signing, scaffolding."""

import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stockbridge import connectors
from stockbridge.connectors.kit import canonical, configuration, hosts, manifests, signing
from stockbridge.connectors.kit.conformance import CASES
from stockbridge.connectors.kit.conformance.bench import bench
from stockbridge.connectors.kit.guard import Guarded
from stockbridge.connectors.kit.http import Http
from stockbridge.connectors.kit.outcomes import Failed
from stockbridge.connectors.kit.reference import FOLDER, page
from stockbridge.connectors.kit.registry import Registry, find
from stockbridge.connectors.kit.scaffold import scaffold
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import Delivery, Opened, Outcome, StockUpdate
from stockbridge.kernel.errors import Broken, Misconfigured, Retry

REGISTRY = Registry()
ROOT = Path(__file__).resolve().parents[5]


def manifest(**more: Any) -> Manifest:
    base = {"name": "x", "title": "X", "kind": "portal", "version": "1", "summary": "x"}
    return msgspec.convert({**base, **more}, Manifest)


FULL = manifest(
    hosts=["{shop}.example.com", "{endpoint}"],
    config=[
        {"name": "shop", "help": "its name", "required": True, "example": "acme"},
        {"name": "endpoint", "help": "another address", "type": "url"},
        {"name": "pages", "help": "how many", "type": "integer", "default": 5},
        {"name": "fast", "help": "whether", "type": "boolean"},
        {"name": "mode", "help": "how", "type": "choice", "choices": ["a", "b"]},
        {"name": "locations", "help": "places", "type": "table"},
        {"name": "code", "help": "two letters", "pattern": "[A-Z]{2}", "example": "DE"},
    ],
)

FAULTS = [
    ({}, "shop: is missing; its name, for example acme"),
    ({"shop": 3}, "shop: give text, for example acme"),
    ({"shop": "acme", "shpo": "x"}, "shpo: x has no such field; it has"),
    ({"shop": "evil.com/#"}, "shop: evil.com/# is no part of a host's name"),
    ({"shop": "acme", "endpoint": "acme"}, "endpoint: acme is no address"),
    ({"shop": "acme", "endpoint": "https://u:p@acme.com"}, "endpoint: an address on acme.com has"),
    ({"shop": "acme", "endpoint": "http://169.254.169.254"}, "http://169.254.169.254:80 is no"),
    ({"shop": "acme", "pages": True}, "pages: give a whole number"),
    ({"shop": "acme", "fast": "yes"}, "fast: give true or false"),
    ({"shop": "acme", "mode": "c"}, "mode: c is none of a, b"),
    ({"shop": "acme", "locations": {"LONDON": 7}}, "locations.LONDON: give text"),
    ({"shop": "acme", "code": "de"}, "code: de does not look right; two letters"),
]


@pytest.mark.parametrize("config,fault", FAULTS)
def test_a_configuration_is_judged_field_by_field(config: dict[str, Any], fault: str) -> None:
    found = configuration.faults(FULL, config)
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_a_right_configuration_has_no_faults_and_gets_defaults() -> None:
    config = {"shop": "acme", "fast": False, "mode": "a", "locations": {"L": "1"}, "code": "DE"}
    assert configuration.faults(FULL, config) == []
    assert configuration.complete(FULL, config)["pages"] == 5


def test_hosts_come_from_manifest_and_configuration() -> None:
    config = {"shop": "Acme", "endpoint": "http://127.0.0.1:9000/x"}
    assert set(map(str, hosts.origins(FULL, config))) == {
        "https://acme.example.com:443",
        "http://127.0.0.1:9000",
    }
    assert set(map(str, hosts.origins(FULL, {"shop": "a"}))) == {"https://a.example.com:443"}


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "::ffff:127.0.0.1", "fe80::1%1"],  # noqa: S104
)
def test_addresses_inside_this_machine(address: str) -> None:
    assert hosts.is_inside(address)


def test_addresses_outside() -> None:
    assert not hosts.is_inside("10.1.2.3")
    assert not hosts.is_inside("2001:db8::1")


CONTRADICTIONS = [
    ({"name": "y"}, "name is y, the folder is x"),
    ({"hosts": ["{shop}"]}, "hosts: {shop} is no field of config"),
    ({"webhook": {"secret": "hook"}}, "webhook: there is no secret hook"),
    ({"operations": [{"name": "dance"}]}, "operations: dance is none of"),
    (
        {"limits": [{"operations": ["dance"], "limit": {"model": "concurrency", "calls": 1}}]},
        "limits: dance is none of",
    ),
    ({"config": [{"name": "a", "help": "", "choices": ["b"]}]}, "config.a: choices go with"),
    (
        {"config": [{"name": "a", "help": "", "required": True, "default": "b"}]},
        "config.a: required and a default",
    ),
]


@pytest.mark.parametrize("more,fault", CONTRADICTIONS)
def test_a_manifest_may_not_contradict_itself(more: dict[str, Any], fault: str) -> None:
    found = list(manifests.faults(manifest(**more), "x"))
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.toml").write_text("name = 'x'\nkind = 'nothing'")
    with pytest.raises(Misconfigured, match=r"manifest\.toml"):
        manifests.read(tmp_path)


class Faulty:
    """A connector that does everything wrong."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.manifest = FULL

    def __getattr__(self, name: str) -> Any:
        if name == "receive":
            return self._raise
        return self._araise

    def _raise(self, *_: object) -> Any:
        raise self.error

    async def _araise(self, *_: object) -> Any:
        raise self.error


def guarded(error: Exception) -> Guarded:
    stock = {"mode": "absolute", "rows_max": 2}
    claimed = msgspec.convert({**msgspec.to_builtins(FULL), "stock": stock}, Manifest)
    http = Http(claimed, Opened("shop", {"shop": "acme"}, {"key": "hidden-value"}))
    return Guarded(Faulty(error), claimed, http)


ROW = StockUpdate(1, "A", "A", "", 1, 1)
OWED = Delivery(1, "cancel_order", "order:1", "k", "c", 1, None)


async def test_a_defect_ends_as_unknown_and_tells_no_value() -> None:
    connector = guarded(KeyError("hidden-value"))
    outcome = (await connector.publish([ROW, ROW]))[1]
    assert (outcome.kind, outcome.code) == ("unknown", "connector_error")
    assert "KeyError" in outcome.detail
    assert "hidden-value" not in outcome.detail
    assert (await connector.send(OWED)).kind == "unknown"
    assert (await connector.probe(OWED)).kind == "unknown"
    assert not (await connector.test())[0].is_good
    assert connector.receive(None, []) is None  # type: ignore[arg-type]
    with pytest.raises(Retry):
        await connector.observe([ROW])
    with pytest.raises(Retry):
        await connector.poll("orders", None, None)


async def test_what_failed_ends_as_its_outcome() -> None:
    later = Outcome("later", "throttled", after_seconds=3.0)
    connector = guarded(Failed(later))
    assert await connector.publish([ROW]) == [later]
    assert await connector.send(OWED) == later
    assert (await connector.probe(OWED)).kind == "unknown"
    with pytest.raises(Retry) as found:
        await connector.observe([ROW])
    assert found.value.after_seconds == 3.0
    assert (await guarded(Misconfigured("no")).send(OWED)).kind == "later"


async def test_too_many_rows_are_our_own_mistake() -> None:
    with pytest.raises(Broken):
        await guarded(KeyError()).publish([ROW] * 3)


def test_whatever_a_decoder_raises_the_message_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def boom(*_: object) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(REGISTRY.module("generic", "mapping"), "decode", boom)
    found = REGISTRY.decode("generic", "order_placed", b"", {"system": "shop"})
    assert isinstance(found, Undecodable)
    assert found.code == "decoder_failed"


def test_opening_names_every_secret_that_is_missing() -> None:
    opened = Opened("shop", {"url": "https://a.example", "channel": "web"}, {"token": "t"})
    with pytest.raises(Misconfigured, match=r"shop: secret signing: .*secret webhook: "):
        REGISTRY.open("generic", opened)


def test_a_name_nobody_has_is_told_with_the_names_there_are() -> None:
    with pytest.raises(Misconfigured, match="generic"):
        REGISTRY.manifest("nobody")
    with pytest.raises(Misconfigured, match="generic"):
        find("nobody")


# Published with the Standard Webhooks specification.
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'


def test_standard_webhooks_as_published() -> None:
    headers = signing.standard_headers([KEY], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signing.is_standard(headers, BODY, ["whsec_AAAA", KEY], 1614265330.0)
    assert not signing.is_standard(headers, BODY, [KEY], 1614265330.0 + 301)
    assert not signing.is_standard(headers, BODY + b" ", [KEY], 1614265330.0)
    assert not signing.is_standard(headers, BODY, ["whsec_"], 1614265330.0)
    assert not signing.is_standard(headers, BODY, [], 1614265330.0)
    assert not signing.is_standard({**headers, "webhook-id": ""}, BODY, [KEY], 1614265330.0)
    assert not signing.is_standard({**headers, "webhook-timestamp": "²"}, BODY, [KEY], 0.0)


def test_a_signature_is_by_one_of_the_secrets() -> None:
    def sign(secret: str) -> str:
        return signing.hmac_base64(secret, BODY)

    given = sign("new")
    assert signing.is_signed(given, ["old", "new"], sign)
    assert not signing.is_signed(given, ["old"], sign)
    assert not signing.is_signed("", ["old"], sign)
    assert not signing.is_signed("é", ["old"], sign)
    assert signing.hmac_hex("k", b"m") == signing.hmac_hex(b"k", b"m")


WHOLE = [("12", 12), ("12.00000", 12), (12, 12), (12.0, 12), ("1E2", 100), ("-3", -3)]


@pytest.mark.parametrize("text,number", WHOLE)
def test_whole_numbers_in_their_disguises(text: Any, number: int) -> None:
    assert canonical.whole(text) == number


@pytest.mark.parametrize("text", ["12.5", "x", None, True, "NaN", "Infinity", ""])
def test_what_is_no_whole_number(text: Any) -> None:
    with pytest.raises(ValueError, match="no"):
        canonical.whole(text)


def test_canonical_helpers() -> None:
    assert canonical.canonical({"b": 1, "a": [2]}) == b'{"a":[2],"b":1}'
    assert canonical.key_of("a", 1) == canonical.key_of("a", 1) != canonical.key_of("a1")
    assert canonical.at({"a": [{"b": 3}]}, "a", 0, "b") == 3
    assert canonical.at({"a": []}, "a", 0, "b") is None
    assert canonical.segment("a/b c") == "a%2Fb%20c"
    assert canonical.location_of({"locations": {"LONDON": "7"}}, "7") == "LONDON"
    assert canonical.location_of({}, "7") is None
    moment = canonical.moment("2026-11-24T10:00:00+01:00")
    assert canonical.rfc3339(moment) == "2026-11-24T09:00:00Z"
    assert canonical.moment("2026-11-24T09:00:00") == moment


async def test_a_new_connector_passes_the_suite_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connectors, "__path__", list(connectors.__path__))
    folder = scaffold("acme_shop_9", tmp_path)
    assert "skeleton" not in "".join(path.read_text() for path in folder.rglob("*.*"))
    name, registry = find(str(folder))
    try:
        for case in CASES:
            if case.lacks(registry.manifest(name)) is None:
                async with bench(registry, name) as made:
                    await case.run(made)
    finally:
        for module in [m for m in sys.modules if m.startswith(f"{connectors.__name__}.{name}")]:
            del sys.modules[module]


def test_a_folder_of_ones_own_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors, "__path__", list(connectors.__path__))
    scaffold("acme_shop_8", tmp_path)
    assert {"generic", "acme_shop_8"} <= {*Registry.of(tmp_path).names()}
    assert find("acme_shop_8", tmp_path)[0] == "acme_shop_8"
    with pytest.raises(Misconfigured, match="connectors_dir"):
        Registry.of(tmp_path / "none")


def test_a_new_connector_is_never_made_over_another(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    with pytest.raises(Misconfigured, match="there already"):
        scaffold("acme", tmp_path)
    with pytest.raises(Misconfigured, match="small letters"):
        scaffold("../acme", tmp_path)


@pytest.mark.parametrize("name", REGISTRY.names())
def test_reference_pages_are_current(name: str) -> None:
    found = ROOT / FOLDER / f"{name}.md"
    assert found.is_file(), "run: stockbridge connectors docs"
    assert found.read_text("utf-8") == page(REGISTRY.manifest(name)), (
        "run: stockbridge connectors docs"
    )


def test_a_page_tells_every_kind_of_limit() -> None:
    document = tomllib.loads((files(connectors) / "generic" / "manifest.toml").read_text("utf-8"))
    limits = [
        {"model": "cost_bucket", "capacity": 1000, "per_second": 50, "cost": 10},
        {"model": "token_bucket", "burst": 5, "per_second": 0.5},
        {"model": "window", "calls": 150, "seconds": 30},
        {"model": "concurrency", "calls": 5},
        {"model": "daily_budget", "calls": 250},
    ]
    document["limits"] = [{"operations": ["*"], "limit": limit} for limit in limits]
    document["stock"]["is_async"] = True
    document["unknown"] = ["what it does on Sundays"]
    text = page(msgspec.convert(document, Manifest))
    for told in (
        "1000 points, refilled by 50 a second, 10 a call", "5 calls at once, then 0.5 a second",
        "150 calls in 30 s", "5 calls at the same time", "250 calls a day for one object",
        "says taken, not applied", "what it does on Sundays",
    ):  # fmt: skip
        assert told in text

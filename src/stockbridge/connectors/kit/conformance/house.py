"""What every connector must keep: documents, configuration, checks, samples, secrets."""

import contextlib
import io
import json
import logging
import socket
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any, Final

import msgspec
from structlog.testing import capture_logs

from stockbridge.connectors.kit.conformance.bench import (
    SYSTEM,
    Bench,
    Case,
    always,
    expect,
    expect_ours,
    kinds,
    takes_stock,
)
from stockbridge.connectors.kit.hosts import is_loopback_name, origins
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import Check
from stockbridge.kernel.errors import StockbridgeError

_README_CHARACTERS_MIN: Final = 400
_TURNED: Final = str.maketrans(
    ascii_lowercase + ascii_uppercase + digits,
    ascii_lowercase[7:] + ascii_lowercase[:7]
    + ascii_uppercase[7:] + ascii_uppercase[:7]
    + digits[7:] + digits[:7],
)  # fmt: skip


async def is_documented(bench: Bench) -> None:
    """The manifest says where to look, every field has help, the README tells what is unknown."""
    manifest, folder = bench.manifest, bench.registry.folder(bench.name)
    expect(manifest.hosts, "hosts is empty: say where it may call")
    readme = folder / "README.md"
    expect(readme.is_file(), "there is no README.md")
    text = readme.read_text("utf-8")
    expect(len(text) >= _README_CHARACTERS_MIN, "README.md says too little to start from")
    for unknown in manifest.unknown:
        expect(unknown.split(":")[0] in text, f"README.md does not tell what is unknown: {unknown}")
    helps = {f.name: f.help for f in manifest.config} | {s.name: s.help for s in manifest.secrets}
    for name, help_text in helps.items():
        expect(help_text, f"{name} has no help")
    for operation in manifest.operations:
        is_safe = operation.idempotent or operation.probe
        expect(is_safe, f"{operation.name} is neither idempotent nor probed: what if no answer?")


async def calls_only_its_hosts(bench: Bench) -> None:
    """Without an endpoint configured it calls the partner's own hosts, encrypted."""
    fields = {field.name: field.example for field in bench.manifest.config if field.required}
    config = {**fields, **bench.simulator.config()}
    for field in bench.manifest.config:
        if field.type == "url":
            config[field.name] = field.example if field.required else ""
    allowed = origins(bench.manifest, config)
    expect(allowed, "without an endpoint it may call nobody: add its hosts, or an example")
    for origin in allowed:
        is_safe = origin.scheme == "https" and not is_loopback_name(origin.host)
        expect(is_safe, f"{origin} is not the partner's own, encrypted address")


async def refuses_bad_configuration(bench: Bench) -> None:
    """A bad configuration is named field by field before anything is called."""
    good = bench.simulator.config()
    faults = bench.registry.faults(bench.name, good)
    expect(not faults, f"the simulator's configuration has faults: {faults}")
    for field in bench.manifest.config:
        for wrong in _wrong(field.type, field.required):
            config = {**good, field.name: wrong}
            found = bench.registry.faults(bench.name, config)
            named = any(fault.startswith(field.name) for fault in found)
            expect(named, f"{field.name} = {wrong!r} gave {list(found)}: name the field")
    found = bench.registry.faults(bench.name, {**good, "no_such_field": 1})
    expect(any("no_such_field" in fault for fault in found), "an unknown field is not refused")
    for secret in bench.manifest.secrets:
        if secret.required:
            with _told(secret.name):
                bench.open(secrets={**bench.simulator.secrets(), secret.name: ""})


def _wrong(kind: str, is_required: bool) -> Iterator[Any]:
    yield 3.5
    if is_required:
        yield ""
    if kind == "url":
        yield "not an address"
    if kind == "choice":
        yield "no such choice"


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except StockbridgeError as error:
        expect(name in str(error), f"what is missing is {name}, it says: {error}")
        return
    expect(is_kept=False, message=f"it opens without the secret {name}")


async def tests_itself(bench: Bench) -> None:
    """`systems test` is green for the simulator and changes nothing."""
    checks = await bench.open().test()
    expect(checks, "test() checks nothing")
    wrong = [check for check in checks if not check.is_good]
    expect(not wrong, f"against its own simulator these fail: {wrong}")
    expect(not bench.simulator.effects, f"test() changed {dict(bench.simulator.effects)}")


async def finds_what_is_wrong(bench: Bench) -> None:
    """`systems test` finds wrong credentials and a wrong address, and says the fix."""
    secrets, config = bench.simulator.secrets(), bench.simulator.config()
    unused = bench.manifest.webhook.secret if bench.manifest.webhook else ""
    for secret in bench.manifest.secrets:
        if secret.name != unused and secret.required:
            wrong = {**secrets, secret.name: _other(secrets[secret.name])}
            _fixable(await bench.open(secrets=wrong).test(), f"a wrong {secret.name}")
    for field in bench.manifest.config:
        if field.type == "url" and config.get(field.name):
            closed = {**config, field.name: f"http://127.0.0.1:{_closed_port()}"}
            _fixable(await bench.open(config=closed).test(), f"a wrong {field.name}")


def _fixable(checks: object, what: str) -> None:
    found = msgspec.convert(msgspec.to_builtins(checks), list[Check])
    wrong = [check for check in found if not check.is_good]
    expect(wrong, f"{what} is not found by test()")
    expect(all(check.fix for check in wrong), f"{what}: these checks name no fix: {wrong}")


def _other(secret: str) -> str:
    """A secret of the same form that is another one: every letter and digit turned."""
    return secret.translate(_TURNED)


def _closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def reads_its_samples(bench: Bench) -> None:
    """Each sample gives exactly the events that stand beside it, or its refusal."""
    folder = bench.registry.folder(bench.name) / "samples"
    needed = bench.manifest.webhook is not None or bool(bench.manifest.feeds)
    samples = sorted(_samples(folder), key=lambda entry: entry.name)
    expect(samples or not needed, "samples/ is empty: keep a message of every topic")
    config = {**bench.simulator.config(), "system": SYSTEM}
    for sample in samples:
        name = sample.name.partition(".in.")[0]
        topic = name.partition("-")[0]
        decoded = bench.registry.decode(bench.name, topic, sample.read_bytes(), config)
        refused = folder / f"{name}.refused.txt"
        if refused.is_file():
            code = decoded.code if isinstance(decoded, Undecodable) else "no refusal"
            wanted = refused.read_text("utf-8").strip()
            expect(code == wanted, f"{sample.name}: {code}, expected {wanted}")
            continue
        for event in () if isinstance(decoded, Undecodable) else decoded:
            if not isinstance(event, Undecodable):
                expect_ours(event)
        found = decoded if isinstance(decoded, Undecodable) else msgspec.to_builtins(list(decoded))
        events = folder / f"{name}.events.json"
        expect(events.is_file(), f"{sample.name} has no {events.name}; it gives {found}")
        expected = json.loads(events.read_text("utf-8"))
        expect(found == expected, f"{sample.name} gives {json.dumps(found, default=str)}")
    told = {entry.name.partition(".in.")[0].partition("-")[0] for entry in samples}
    missing = set(_topics(bench.manifest)) - told
    expect(not missing, f"no sample of the topics {sorted(missing)}")


def _samples(folder: Traversable) -> Iterator[Traversable]:
    if folder.is_dir():
        yield from (entry for entry in folder.iterdir() if ".in." in entry.name)


def _topics(manifest: Manifest) -> list[str]:
    return manifest.webhook.topics if manifest.webhook is not None else []


async def takes_new_secrets(bench: Bench) -> None:
    """Credentials replaced while it runs: nothing is lost, and the new ones work at once."""
    connector, row = bench.open(), bench.row(1, 7)
    await connector.publish([row])
    bench.simulator.settle()
    bench.simulator.rotate()
    outcomes = await connector.publish([msgspec.structs.replace(row, quantity=8, version=2)])
    expect(kinds(outcomes) == ["later"], f"with replaced credentials: {outcomes}: say later")
    fresh = msgspec.structs.replace(row, quantity=8, version=2, previous=7)
    outcomes = await bench.open().publish([fresh])
    bench.simulator.settle()
    expect(outcomes[0].kind in ("confirmed", "accepted"), f"with the new credentials: {outcomes}")
    expect(bench.shown([row]) == [8], f"the partner shows {bench.shown([row])}")


async def keeps_secrets_to_itself(bench: Bench) -> None:
    """No secret and no token appears in logs, outcomes or errors, whatever goes wrong."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with capture_logs() as entries:
            told = [str(each) async for each in _everything(bench)]
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    texts = said.getvalue() + str(entries) + "\n".join(told)
    secrets: Mapping[str, str] = bench.simulator.secrets()
    for name, secret in [*secrets.items(), *(("a token", t) for t in bench.simulator.issued)]:
        expect(secret not in texts, f"{name} appears in logs or answers")


async def _everything(bench: Bench) -> Any:
    """What a connector says while things go well and badly."""
    for fault in (None, "fail_before", "garbage", "drop_before", "throttle"):
        connector = bench.open()
        if fault is not None:
            bench.simulator.fault(fault, times=3)
        yield await connector.test()
        if bench.manifest.stock is not None:
            row = bench.row(1, 7)
            yield await connector.publish([row])
            with contextlib.suppress(StockbridgeError):
                yield await connector.observe([row])
        for feed in bench.manifest.feeds:
            try:
                yield await connector.poll(feed.name, None, None)
            except StockbridgeError as error:
                yield error
        bench.simulator.heal()
    secrets = {name: _other(secret) for name, secret in bench.simulator.secrets().items()}
    yield await bench.open(secrets=secrets).test()


CASES = (
    Case("is_documented", always, is_documented),
    Case("calls_only_its_hosts", always, calls_only_its_hosts),
    Case("refuses_bad_configuration", always, refuses_bad_configuration),
    Case("tests_itself", always, tests_itself),
    Case("finds_what_is_wrong", always, finds_what_is_wrong),
    Case("reads_its_samples", always, reads_its_samples),
    Case("takes_new_secrets", takes_stock, takes_new_secrets),
    Case("keeps_secrets_to_itself", always, keeps_secrets_to_itself),
)

"""One process of callers: its own engine, many at a time, every step written to a log.

The log survives a kill: an intent is written before its command is submitted and the answer after
it came, so that whoever reads it knows what was acknowledged and what is in doubt.
"""

import asyncio
import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from stockbridge.contracts import commands
from stockbridge.engine import Command, Engine, Outcome
from stockbridge.store.database import connect
from tests.simulation.traffic import Effect, Trader

RETRY_SHARE = 0.05
SECONDS_MAX = 60.0


class Step(NamedTuple):
    """A logged operation; `status` and `digest` are None while its answer is not known."""

    key: str
    body: Any
    effect: Effect
    status: int | None = None
    digest: str | None = None


class Log:
    """Append-only lines of JSON, each written in one call."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def intend(self, step: Step) -> None:
        """Before submitting."""
        body = json.loads(msgspec.json.encode(step.body))
        self._write({"key": step.key, "kind": type(step.body).__name__, "body": body,
                     "effect": step.effect})  # fmt: skip

    def learn(self, key: str, outcome: Outcome) -> None:
        """After the answer."""
        self._write({"key": key, "status": outcome.status, "digest": digest(outcome.body)})

    def _write(self, content: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(content).encode() + b"\n")


def digest(answer: bytes) -> str:
    """A short stand-in for an answer's bytes."""
    return hashlib.md5(answer, usedforsecurity=False).hexdigest()


def read_log(path: Path) -> Iterator[Step]:
    """Steps with their answers, as they come; those in doubt last."""
    open_steps: dict[str, Step] = {}
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            content = json.loads(line)
            if "body" in content:
                shape = getattr(commands, content["kind"])
                body = msgspec.convert(content["body"], shape)
                open_steps[content["key"]] = Step(content["key"], body, Effect(*content["effect"]))
            elif (step := open_steps.pop(content["key"], None)) is not None:
                yield step._replace(status=content["status"], digest=content["digest"])
    yield from open_steps.values()


def command(step: Step) -> Command:
    """The command of a step."""
    return Command(step.body, principal="sim", key=step.key, correlation_id=step.key)


def run(dsn: str, path: str, name: str, seed: int, operations: int, callers: int) -> None:
    """A process's main: finish what is in doubt, then do the rest of `operations`."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_run(dsn, Path(path), name, seed, operations, callers))


def _end_with_parent() -> None:
    """Nobody judges what is done after the simulation itself was ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


async def _run(dsn: str, path: Path, name: str, seed: int, operations: int, callers: int) -> None:
    log, engine = Log(path), Engine(dsn)
    done = list(read_log(path))
    async with await connect(dsn, wait_seconds=SECONDS_MAX):
        await engine.start()
    in_doubt = [step for step in done if step.status is None]
    answers = await asyncio.gather(*(_submit(engine, step) for step in in_doubt))
    for step, outcome in zip(in_doubt, answers, strict=True):
        log.learn(step.key, outcome)
    left = iter(range(len(done), operations))
    life = f"{name}.{len(done)}"
    tasks = [_caller(engine, log, Trader(f"{life}.{n}", seed), left) for n in range(callers)]
    await asyncio.gather(*tasks)
    await engine.stop()


async def _caller(engine: Engine, log: Log, trader: Trader, left: Iterator[int]) -> None:
    for _ in left:
        body, effect = trader.next()
        step = Step(trader.number("K"), body, effect)
        log.intend(step)
        outcome = await _submit(engine, step)
        trader.hear(body, outcome)
        log.learn(step.key, outcome)
        if trader.rng.random() < RETRY_SHARE:
            again = await _submit(engine, step)
            if (again.status, again.body) != outcome[:2] or not again.replayed:
                msg = f"{step.key}: first {outcome}, retried {again}"
                raise AssertionError(msg)


async def _submit(engine: Engine, step: Step) -> Outcome:
    """The final answer: tries again while the hub says to."""
    give_up = asyncio.get_running_loop().time() + SECONDS_MAX
    while True:
        outcome = await engine.submit(command(step))
        again = outcome.status == 503 or b"request_in_progress" in outcome.body
        if not again or asyncio.get_running_loop().time() > give_up:
            return outcome
        await asyncio.sleep(0.05)

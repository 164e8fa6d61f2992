"""Reference pages of connectors, generated from their manifests."""

from collections.abc import Iterator
from typing import Final

from stockbridge.contracts.partners.manifest import (
    Concurrency,
    ConfigField,
    CostBucket,
    DailyBudget,
    Limit,
    Manifest,
    TokenBucket,
    Window,
)

FOLDER: Final = "docs/reference/connectors"


def page(manifest: Manifest) -> str:
    """A connector's page, in Markdown."""
    return "\n".join(_lines(manifest))


def _lines(manifest: Manifest) -> Iterator[str]:
    yield f"# {manifest.title} (`{manifest.name}`)"
    yield ""
    yield "<!-- Made by `stockbridge connectors docs` from the manifest; edit that. -->"
    yield ""
    yield " ".join(manifest.summary.split())
    yield ""
    yield f"Kind: {manifest.kind}. Version: {manifest.version}."
    if manifest.docs:
        yield f"The partner's documentation: <{manifest.docs}>"
    yield ""
    yield from _setup(manifest)
    yield from _stock(manifest)
    yield from _flows(manifest)
    yield from _limits(manifest)
    yield from _unknown(manifest)


def _setup(manifest: Manifest) -> Iterator[str]:
    yield "## Set up"
    yield ""
    yield "| field | needed | what it is |"
    yield "|---|---|---|"
    for field in manifest.config:
        yield f"| `{field.name}` | {_needed(field)} | {_cell(field.help)}{_example(field)} |"
    for secret in manifest.secrets:
        days = f"; replace it every {secret.days_valid} days" if secret.days_valid else ""
        needed = "yes" if secret.required else "no"
        yield f"| secret `{secret.name}` | {needed} | {_cell(secret.help)}{days} |"
    yield ""
    yield f"It calls {', '.join(f'`{host}`' for host in manifest.hosts)} and nothing else."
    yield ""


def _needed(field: ConfigField) -> str:
    if field.required:
        return "yes"
    return f"no, `{field.default}`" if field.default is not None else "no"


def _example(field: ConfigField) -> str:
    choices = f"; one of {', '.join(field.choices)}" if field.choices else ""
    return f"{choices}; for example `{field.example}`" if field.example else choices


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _stock(manifest: Manifest) -> Iterator[str]:
    stock = manifest.stock
    if stock is None:
        return
    where = "for each location" if stock.per_location else "one for all locations"
    key = "our sku" if stock.item_key == "sku" else "an alias in the system's namespace"
    answer = "says taken, not applied" if stock.is_async else "says applied"
    yield "## Figures out"
    yield ""
    yield f"- {stock.mode.replace('_', ' ')}, {where}; it shows {stock.basis.replace('_', ' ')}"
    yield f"- an item is {key}; at most {stock.rows_max} rows a call, {stock.quantity_max:,} units"
    yield f"- a good answer {answer}; read back after {stock.verify_after_seconds} s"
    yield ""


def _flows(manifest: Manifest) -> Iterator[str]:
    if manifest.operations:
        yield "## Told to the partner"
        yield ""
        for operation in manifest.operations:
            told = f": {_cell(operation.help)}" if operation.help else ""
            safe = "may be repeated" if operation.idempotent else "looked up before it is repeated"
            yield f"- `{operation.name}`{told} ({safe})"
        yield ""
    if manifest.feeds or manifest.webhook is not None:
        yield "## Heard from the partner"
        yield ""
        for feed in manifest.feeds:
            period = f"every {feed.period_seconds} s, {feed.overlap_seconds} s again"
            yield f"- feed `{feed.name}`, read {period}: {_cell(feed.help)}"
        if manifest.webhook is not None:
            topics = ", ".join(f"`{topic}`" for topic in manifest.webhook.topics)
            signed = f"signed with the secret `{manifest.webhook.secret}`"
            yield f"- webhooks {topics}, {signed}: {_cell(manifest.webhook.help)}"
        yield ""
    if manifest.has_catalog:
        yield "It lists what it sells, so items can be matched by `stockbridge systems discover`."
        yield ""


def _limits(manifest: Manifest) -> Iterator[str]:
    if not manifest.limits:
        return
    yield "## Limits"
    yield ""
    for rule in manifest.limits:
        together = "together" if rule.scope == "shared" else "each"
        note = f" ({_cell(rule.note)})" if rule.note else ""
        names = ", ".join(f"`{name}`" for name in rule.operations)
        yield f"- {names}, {together}: {_limit(rule.limit)}{note}"
    yield ""


def _limit(limit: Limit) -> str:
    match limit:
        case CostBucket():
            refill = f"refilled by {limit.per_second:g} a second"
            return f"{limit.capacity:g} points, {refill}, {limit.cost:g} a call"
        case TokenBucket():
            return f"{limit.burst:g} calls at once, then {limit.per_second:g} a second"
        case Window():
            return f"{limit.calls} calls in {limit.seconds:g} s"
        case Concurrency():
            return f"{limit.calls} calls at the same time"
        case DailyBudget():
            return f"{limit.calls} calls a day for one object"


def _unknown(manifest: Manifest) -> Iterator[str]:
    if not manifest.unknown:
        return
    yield "## Not verified"
    yield ""
    for unknown in manifest.unknown:
        yield f"- {_cell(unknown)}"
    yield ""

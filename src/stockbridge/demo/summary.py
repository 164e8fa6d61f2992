"""What a replay did, counted, and how it is printed."""

from collections import Counter
from dataclasses import dataclass, field

FAILURES_KEPT = 20


@dataclass(frozen=True, slots=True)
class Invariant:
    """A law of the books: `broken` counts the records that break it, `example` is one of them."""

    law: str
    broken: int
    example: str = ""


@dataclass(slots=True)
class Summary:
    """Counts of one replay; units are base units, `seconds` are of this computer's clock."""

    lines: int = 0
    service_lines: int = 0
    orders: int = 0
    units_ordered: int = 0
    units_promised: int = 0
    units_shipped: int = 0
    units_returned: int = 0
    units_adjusted: int = 0
    units_received: int = 0
    lines_ordered: int = 0
    lines_short: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    replayed: int = 0
    failures: list[str] = field(default_factory=list)
    failures_count: int = 0
    invariants: list[Invariant] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Every command was understood, and no law of the books is broken."""
        return not self.failures_count and not any(law.broken for law in self.invariants)

    @property
    def fill_rate(self) -> float:
        """Promised of ordered units, 0 to 1."""
        return self.units_promised / self.units_ordered if self.units_ordered else 1.0

    def fail(self, text: str) -> None:
        """Count a command that should have been carried out and was not; keep the first few."""
        self.failures_count += 1
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append(text)

    def text(self) -> str:
        """The summary for people."""
        rate = self.lines / self.seconds if self.seconds else 0.0
        shown = [
            ("lines", f"{self.lines:,} in {self.seconds:.1f} s = {rate:,.0f}/s"),
            ("  of them no stock", f"{self.service_lines:,} (postage, fees, discounts, vouchers)"),
            ("commands", f"{self.commands:,}, {self.replayed:,} of them answered before"),
            ("orders", f"{self.orders:,}"),
            ("  refused", self._refusals()),
            ("  lines", f"{self.lines_ordered:,}, {self.lines_short:,} not promised in full"),
            ("units ordered", f"{self.units_ordered:,}"),
            ("  promised", f"{self.units_promised:,} = {self.fill_rate:.1%}"),
            ("  shipped", f"{self.units_shipped:,}"),
            ("units returned", f"{self.units_returned:,}"),
            ("units received", f"{self.units_received:,}"),
            ("units adjusted", f"{self.units_adjusted:+,}"),
            *((name, f"{value:,}") for name, value in self.figures.items()),
        ]
        width = max(len(name) for name, _ in shown)
        laws = [
            f"{'ok    ' if not law.broken else 'BROKEN'}  {law.law}"
            + (f": {law.broken:,} records, such as {law.example}" if law.broken else "")
            for law in self.invariants
        ]
        failures = [f"FAILED  {text}" for text in self.failures]
        if self.failures_count > len(self.failures):
            failures.append(f"FAILED  and {self.failures_count - len(self.failures):,} more")
        return "\n".join([f"{name:{width}}  {value}" for name, value in shown] + laws + failures)

    def _refusals(self) -> str:
        total = sum(self.refusals.values())
        reasons = ", ".join(f"{count:,} {code}" for code, count in self.refusals.most_common())
        return f"{total:,}" + (f" ({reasons})" if reasons else "")

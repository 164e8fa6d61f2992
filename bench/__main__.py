"""`python -m bench`: measures the promises about speed, floors in the same run."""

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import structlog

from bench import machine
from bench.lab import Lab, open_lab, say
from bench.model import Case
from bench.registry import CASES, chosen
from bench.report import Report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen cases; the exit status is 1 when one failed (with --check: or fell short)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    if options.list:
        _list()
        return 0
    try:
        cases = chosen(options.cases)
    except ValueError as error:
        say(str(error))
        return 2
    _log_to_stderr()
    with open_lab(options.data_dir, options.seconds, options.scale) as lab:
        report = Report(_common(lab, given), full_scale=options.scale == "full")
        if options.json is None:
            _run(lab, cases, report, None)
        else:
            with options.json.open("a", encoding="utf-8") as file:
                _run(lab, cases, report, file)
    report.show()
    failed = report.missed if options.check else report.errors
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _run(lab: Lab, cases: Sequence[Case], report: Report, file: IO[str] | None) -> None:
    for case in cases:
        say(f"{case.name}: {case.figures[''].measures}")
        try:
            lines = report.add(case, case.run(lab))
        except Exception as error:  # noqa: BLE001 - one case that fails must not hide the others
            traceback.print_exc()
            lines = [report.failed(case, f"{type(error).__name__}: {error}")]
        for line in lines:
            print(line, flush=True)
            if file is not None:
                file.write(f"{line}\n")
                file.flush()


def _common(lab: Lab, arguments: Sequence[str]) -> dict[str, object]:
    return {
        "scale": lab.scale,
        "seconds": lab.seconds,
        "command": machine.command(arguments),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": machine.commit(),
        "machine": machine.describe(lab.folder),
        "postgres": lab.settings(),
    }


def _log_to_stderr() -> None:
    """Standard output is for the lines of the report."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _list() -> None:
    for case in CASES:
        for name, figure in case.figures.items():
            target = f" (target {figure.target.text(figure.unit)})" if figure.target else ""
            print(f"{case.label(name)}: {figure.measures}, {figure.unit}{target}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help="which; all if none is named")
    parser.add_argument("--list", action="store_true", help="list the cases and their targets")
    parser.add_argument("--seconds", type=float, default=5.0, help="of one measurement")
    parser.add_argument("--scale", choices=("small", "full"), default="full", help="amount of data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also append the lines to FILE")
    parser.add_argument("--data-dir", type=Path, help="where to put the database for the time")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main())

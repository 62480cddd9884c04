"""The findings of a check of market data as one page that needs nothing else."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from kurswerk.core.timestamps import to_datetime
from kurswerk.quality import Example, Finding, QualityReport
from kurswerk.reports._formats import moment, number
from kurswerk.reports._write import write_page


def render_quality_report(report: QualityReport) -> str:
    """Return the findings as HTML; every text in it is escaped, and it loads nothing from anywhere."""
    loader = PackageLoader("kurswerk.reports", "page")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    times = (report.first_us, report.last_us)
    first, last = ("–" if us is None else moment(to_datetime(us)) for us in times)
    return environment.get_template("quality.html.j2").render(
        title=f"Quality of the market {report.market}",
        style=loader.get_source(environment, "report.css")[0],
        rows=number(report.rows),
        instruments=number(report.instruments),
        first=first,
        last=last,
        findings=[_finding(one) for one in report.findings if one.count],
        passed=[one.check.replace("_", " ") for one in report.findings if not one.count],
    )


def write_quality_report(path: Path, report: QualityReport) -> Path:
    """Write the findings as one self-contained HTML file, all or nothing; return the file, absolute.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    return write_page(path, render_quality_report(report))


def _finding(finding: Finding) -> dict[str, Any]:
    names = list(dict.fromkeys(name for example in finding.examples for name in example.values))
    return {
        "check": finding.check.replace("_", " "),
        "severity": finding.severity,
        "count": number(finding.count),
        "instruments": number(finding.instruments),
        "done": finding.done,
        "reason": finding.reason,
        "names": names,
        "examples": [_example(example, names) for example in finding.examples],
    }


def _example(example: Example, names: list[str]) -> list[str]:
    when = "" if example.timestamp_us is None else moment(to_datetime(example.timestamp_us))
    values = (example.values.get(name, "") for name in names)
    return [example.instrument, when, *(value if isinstance(value, str) else f"{value:,.6g}" for value in values)]

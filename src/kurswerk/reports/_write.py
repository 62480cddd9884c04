"""The page as one file that needs nothing else: styles, scripts and the plotting library are inside."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from kurswerk.reports._page import page_of
from kurswerk.reports._report import Report

_PAGE = "kurswerk.reports", "page"


def render_report(report: Report) -> str:
    """Return a report as HTML; every text in it is escaped, and it loads nothing from anywhere."""
    loader = PackageLoader(*_PAGE)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = page_of(report)
    charts = page.pop("charts")
    # The template puts these four in as they stand: files of ours, the library's own code, and JSON made safe below.
    return environment.get_template("report.html.j2").render(
        page,
        style=loader.get_source(environment, "report.css")[0],
        script=loader.get_source(environment, "report.js")[0],
        charts=_json_inside_html(charts),
        plotly=get_plotlyjs() if charts else "",
    )


def _json_inside_html(value: Any) -> str:
    """Return JSON without any sign that HTML would read, so that it cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def write_report(path: Path, report: Report) -> Path:
    """Write a report as one self-contained HTML file, all or nothing; a file at the path is replaced.

    Parameters
    ----------
    path
        Where to; missing directories are made.
    report
    Its content.

    Returns
    -------
    Path
        The file, absolute.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    return write_page(path, render_report(report))


def write_page(path: Path, text: str) -> Path:
    """Write a page, all or nothing; a file at the path is replaced. Return the file, absolute."""
    target = path.expanduser().absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{uuid4().hex}.html")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return target

"""The page as one file that needs nothing else: styles, scripts and the plotting library are inside."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from kurswerk.reports._page import page_of
from kurswerk.reports._report import Report

_PAGE = "kurswerk.reports", "page"


def render_report(report: Report) -> str:
    """Return a report as HTML; every text in it is escaped, and it loads nothing from anywhere."""
    environment = Environment(
        loader=PackageLoader(*_PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = page_of(report)
    figures = page.pop("figures")

    def inside(name: str) -> Markup:
        """Put a file of the package into the page as it stands; it is ours."""
        return Markup(environment.loader.get_source(environment, name)[0])  # type: ignore[union-attr] # noqa: S704

    return environment.get_template("report.html.j2").render(
        page,
        style=inside("report.css"),
        script=inside("report.js"),
        figures=_json_inside_html(figures),
        plotly=Markup(get_plotlyjs()) if figures else "",  # noqa: S704 - the library's own code
    )


def _json_inside_html(value: Any) -> Markup:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - no sign that HTML would read is left


def write_report(path: Path, report: Report) -> Path:
    """Write a report as one self-contained HTML file, all or nothing; a file at the path is replaced.

    Parameters
    ----------
    path
        Where to; missing directories are made.
    report
        What it tells.

    Returns
    -------
    Path
        The file, absolute.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    target = path.expanduser().absolute()
    text = render_report(report)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{uuid4().hex}.html")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return target

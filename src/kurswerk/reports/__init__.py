"""Readable reports with plots: one self-contained HTML file on what was done and how good the models are."""

from kurswerk.reports._report import Command, MarketOverview, Place, Report, ReportedModel, Step
from kurswerk.reports._write import render_report, write_report

__all__ = [
    "Command",
    "MarketOverview",
    "Place",
    "Report",
    "ReportedModel",
    "Step",
    "render_report",
    "write_report",
]

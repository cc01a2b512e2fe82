"""The report of a run: every number from ledger rows, with the trials that it rests on."""

from vitruvius.tools.report.build import build_report, write_page, write_report
from vitruvius.tools.report.data import SUMMARY, json_text, summary_data, write_summary
from vitruvius.tools.report.facts import Report
from vitruvius.tools.report.markdown import summary, to_markdown

__all__ = [
    "SUMMARY",
    "Report",
    "build_report",
    "json_text",
    "summary",
    "summary_data",
    "to_markdown",
    "write_page",
    "write_report",
    "write_summary",
]

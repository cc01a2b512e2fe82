"""The report as one self-contained HTML page, from the same facts as the Markdown."""

from vitruvius.tools.report.page.html import script, style, to_html

__all__ = ["script", "style", "to_html"]

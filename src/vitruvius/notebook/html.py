"""The pieces of HTML that a notebook shows. All text is escaped, nothing is loaded from outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from vitruvius.tools.plots.palette import DARK, LIGHT
from vitruvius.tools.safe_text import clean

if TYPE_CHECKING:
    from vitruvius.spaces.space import Architecture, SearchSpace

CLASS = "vitruvius-card"
# JupyterLab and Notebook, VS Code, Colab: each says in its own way that it is dark.
_DARK = ("[data-jp-theme-light=false]", ".vscode-dark", "html[theme=dark]")
_STYLE = f"""<style>
.{CLASS} {{ {LIGHT.variables()} background: var(--paper); color: var(--ink); max-width: 56em;
  border: 1px solid var(--grid); border-radius: 6px; padding: .7em 1em; font-size: 13px;
  line-height: 1.45; font-family: system-ui, sans-serif; }}
{", ".join(f"{where} .{CLASS}" for where in _DARK)} {{ {DARK.variables()} }}
.{CLASS} .muted {{ color: var(--muted); }}
.{CLASS} .big {{ font-size: 1.5em; }}
.{CLASS} .bar {{ height: 5px; background: var(--grid); border-radius: 3px; margin: .4em 0; }}
.{CLASS} .bar div {{ height: 5px; background: var(--blue); border-radius: 3px; }}
.{CLASS} svg {{ max-width: 100%; }}
.{CLASS} .drawn svg {{ height: auto; max-height: 26em; margin: .4em 0; }}
.{CLASS} table {{ border-collapse: collapse; margin: .4em 0; }}
.{CLASS} td, .{CLASS} th {{ text-align: left; vertical-align: top; padding: .15em .8em .15em 0;
  font-size: 13px; background: none; color: var(--ink); }}
.{CLASS} th {{ color: var(--muted); font-weight: normal; }}
</style>"""


def card(*parts: str) -> str:
    """Returns pieces of HTML as one block that follows the notebook's theme."""
    return f'{_STYLE}<div class="{CLASS}">{"".join(parts)}</div>'


def text(words: str, limit: int = 600) -> str:
    """Returns words as HTML.

    Example:
        >>> text("a <b>")
        'a &lt;b&gt;'
    """
    return escape(clean(words, limit))


def line(words: str, kind: str = "") -> str:
    """Returns words as a line of its own; `kind` is `muted` or `big`."""
    return f'<div class="{kind}">{text(words)}</div>' if kind else f"<div>{text(words)}</div>"


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Returns rows of words as a table."""
    cells = "".join(f"<th>{text(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{f'<tr>{cells}</tr>' if head else ''}{body}</table>"


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Returns names with what they stand for."""
    body = "".join(f"<tr><th>{text(name)}</th><td>{text(said)}</td></tr>" for name, said in rows)
    return f"<table>{body}</table>"


def bar(share: float) -> str:
    """Returns a bar that is filled by a share from 0 to 1."""
    return (
        f'<div class="bar"><div style="width:{100 * min(1.0, max(0.0, share)):.1f}%"></div></div>'
    )


def picture(svg: str, width: int) -> str:
    """Returns a picture that is at most so many pixels wide."""
    return f'<div style="max-width:{width}px">{svg}</div>'


def drawn(space: SearchSpace, architecture: Architecture) -> str:
    """Returns the picture of an architecture."""
    from vitruvius.tools.drawing import draw_svg

    return f'<div class="drawn">{draw_svg(space, architecture)}</div>'


def spark(values: Sequence[float], width: int = 320, height: int = 44) -> str:
    """Returns the course of a few numbers as a small curve."""
    if len(values) < 2:
        return ""
    seen = sorted(values)
    # The first few trials often lie far below the rest, and would press it flat.
    low, high = seen[len(seen) // 20], seen[-1]
    span = (high - low) or 1.0
    step = (width - 4) / (len(values) - 1)
    places = [
        (2 + i * step, height - 3 - (height - 6) * min(1.0, max(0.0, (value - low) / span)))
        for i, value in enumerate(values)
    ]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return (
        f'<svg width="{width}" height="{height}" role="img"><title>best so far</title>'
        f'<polyline points="{points}" fill="none" stroke="var(--blue)" stroke-width="2"/></svg>'
    )

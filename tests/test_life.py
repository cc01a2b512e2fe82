"""The worked example in docs/life-of-a-principle.md is what its command prints.

`VITRUVIUS_WRITE_DOCS=1 pytest -m slow tests/test_life.py` writes the blocks anew; read the prose
between them afterwards, it speaks of what they show.
"""

import os
import re
import shlex
from pathlib import Path

import pytest

import vitruvius as vt
from vitruvius.events import Event
from vitruvius.memory.ledger.ledger import Ledger

PAGE = Path(__file__).parents[1] / "docs/life-of-a-principle.md"
BLOCK = re.compile(
    r"<!-- (?P<what>events|evidence|report) (?P<of>.+?) -->\n(?P<body>.*?)<!-- end -->", re.DOTALL
)


def of_principle(name: str, events: list[Event]) -> list[str]:
    """Returns what was told of a principle and its cuts, in order."""
    return [e.text for e in events if str(e.data.get("principle", "")).split(".")[0] == name]


def evidence_table(name: str, ledger: Ledger, run_id: str) -> list[str]:
    rows = [
        f"| P{e.principle}.{e.version} | T{e.up_to} | {e.standing} | {e.effect:+.2f} "
        f"({e.low:+.2f} to {e.high:+.2f}) | {e.n_in} | {e.n_out} | {e.top_loss_high:.1%} |"
        for e in ledger.evidence.about(name)
        if e.run_id == run_id
    ]
    head = "| version | up to | standing | effect | keep it | do not | a cut would lose at most |"
    return [head, "|---|---|---|---|---|---|---|", *rows]


@pytest.mark.slow
def test_the_page_shows_what_the_run_gives(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    command = next(line for line in text.splitlines() if line.startswith("vitruvius run"))
    words = shlex.split(command)
    given = dict(zip(words[2::2], words[3::2], strict=True))
    monkeypatch.chdir(shared_data)
    events: list[Event] = []
    run = vt.search(
        f"{given['--task']},metric={given['--metric']}",
        budget=given["--budget"],
        seed=int(given["--seed"]),
        home=tmp_path,
        model="analyst",
        on_event=events.append,
    )
    report = run.report.replace(run.id, "RUN").splitlines()

    def block(match: re.Match[str]) -> str:
        what, of = match["what"], match["of"]
        if what == "evidence":
            with Ledger.open(tmp_path) as ledger:
                body = "\n".join(evidence_table(of, ledger, run.id)) + "\n"
        else:
            name, _, part = of.partition(" ")
            if what == "events":
                first, last = (int(number) for number in part.split("-"))
                lines = of_principle(name, events)[first - 1 : last]
            else:
                lines = [line for line in report if re.search(of, line)]
            body = "\n".join(["```text", *lines, "```"]) + "\n"
        return f"<!-- {what} {of} -->\n{body}<!-- end -->"

    wanted = BLOCK.sub(block, text)
    if os.environ.get("VITRUVIUS_WRITE_DOCS"):
        PAGE.write_text(wanted, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == wanted

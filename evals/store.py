"""Raw results as files: one line per search, one file per case and arm.

Lines are appended whole, by one process. A line that a kill cut off is dropped when the file is
opened again, and its search is made again.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from vitruvius.evals.cases import Case
from vitruvius.evals.outcomes import Outcome


class Store:
    """The raw results under a folder.

    A case's folder is named by its key and a hash of all of it: results of a case that was
    changed since are left alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, case: Case, arm: str) -> Path:
        """Returns where the results of an arm on a case are."""
        digest = hashlib.sha256(repr(case).encode()).hexdigest()[:8]
        return self.folder / "raw" / f"{_slug(case.key)}-{digest}" / f"{_slug(arm)}.jsonl"

    def read(self, case: Case, arm: str) -> dict[int, Outcome]:
        """Returns the finished searches by seed; the first of a seed counts."""
        path = self.path(case, arm)
        found: dict[int, Outcome] = {}
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            for line in text[: text.rfind("\n") + 1].splitlines():
                outcome = Outcome.read(line)
                found.setdefault(outcome.seed, outcome)
        return found

    def append(self, case: Case, arm: str, outcome: Outcome) -> None:
        """Writes one finished search."""
        path = self.path(case, arm)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, f"{outcome.line()}\n".encode())
        finally:
            os.close(descriptor)

    def mend(self, keys: Iterable[tuple[Case, str]]) -> None:
        """Cuts off what a kill left of a last line."""
        for case, arm in keys:
            path = self.path(case, arm)
            if path.is_file():
                whole = path.read_bytes()
                end = whole.rfind(b"\n") + 1
                if end < len(whole):
                    os.truncate(path, end)


def _slug(name: str) -> str:
    return re.sub(r"[^\w.=-]+", "_", name).strip("_")

"""The ledger: the only writer of facts, and every read that agent, report and doors need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from vitruvius.memory.ledger.database import Database
from vitruvius.memory.ledger.evidence import Cuts, Measurements
from vitruvius.memory.ledger.file import create_tables, prepare_file
from vitruvius.memory.ledger.principles import Principles
from vitruvius.memory.ledger.requests import Requests
from vitruvius.memory.ledger.results import Results, Scores
from vitruvius.memory.ledger.runs import Runs
from vitruvius.memory.ledger.steps import Steps
from vitruvius.memory.ledger.trials import Trials

FILE = "ledger.db"


class Ledger:
    """Facts in SQL, in stores. Synchronous, and safe to call from many threads and processes.

    Every write is one short transaction: when a method returns, what it wrote is kept; when it
    raises, nothing of it was written.

    Attributes:
        runs: made, forked, held by one driver at a time.
        trials: what a run sees of results.
        results: started by one driver, closed once, shared by all runs.
        scores: what proxies said of architectures.
        steps: a run's decisions, calls of a model, journal and account.
        principles: what is believed and was, over all runs.
        evidence: what a run's trials say of a version.
        cuts: what a run searches no more, and why.
        requests: what is asked and said of a run from outside its loop.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.runs = Runs(database)
        self.trials = Trials(database)
        self.results = Results(database)
        self.scores = Scores(database)
        self.steps = Steps(database)
        self.principles = Principles(database)
        self.evidence = Measurements(database)
        self.cuts = Cuts(database)
        self.requests = Requests(database)

    @classmethod
    def open(cls, home: Path, *, secrets: Sequence[str] = (), file: str = FILE) -> Ledger:
        """Returns the ledger of a home folder; makes or upgrades it where needed.

        `secrets` are texts, such as an API key, that must never be stored. `file` is another
        ledger in the folder: a recording.

        Raises:
            ConfigError: where the home cannot be written, or its ledger is damaged or newer.
        """
        path = home / file
        prepare_file(path)
        return cls(Database(path, secrets=tuple(secrets)))

    @classmethod
    def in_memory(cls) -> Ledger:
        """Returns an empty ledger that is gone with the process; for tests and evals."""
        database = Database(None)
        with database.write() as connection:
            create_tables(connection)
        return cls(database)

    def changes(self, *tables: str) -> int:
        """Returns a count that grows when this process has written to one of the tables.

        Who keeps what it has read of them asks whether that is old; what other processes write
        meanwhile is not counted.
        """
        return self._database.changes(tables)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._database.close()

"""The ledger: the only writer of facts, and every read that agent, report and doors need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from vitruvius.memory.ledger.cuts import CutRows
from vitruvius.memory.ledger.database import Database
from vitruvius.memory.ledger.exchange import ExchangeRows
from vitruvius.memory.ledger.external_results import GivenRows
from vitruvius.memory.ledger.forks import ForkRows
from vitruvius.memory.ledger.messages import MessageRows
from vitruvius.memory.ledger.opening import create_tables, prepare_file
from vitruvius.memory.ledger.results import ResultRows
from vitruvius.memory.ledger.steps import StepRows
from vitruvius.memory.ledger.translated import CarriedRows
from vitruvius.memory.ledger.trials import TrialRows
from vitruvius.memory.ledger.wishes import WishRows

FILE = "ledger.db"


class Ledger(
    ExchangeRows,
    TrialRows,
    GivenRows,
    ResultRows,
    StepRows,
    CutRows,
    CarriedRows,
    ForkRows,
    WishRows,
    MessageRows,
):
    """Facts in SQL. Synchronous, and safe to call from many threads and processes.

    Every write is one short transaction: when a method returns, what it wrote is kept; when it
    raises, nothing of it was written.
    """

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
        return cls(Database(path), secrets=tuple(secrets))

    @classmethod
    def in_memory(cls) -> Ledger:
        """Returns an empty ledger that is gone with the process; for tests and evals."""
        database = Database(None)
        with database.write() as connection:
            create_tables(connection)
        return cls(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._database.close()

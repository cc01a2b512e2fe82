"""Evidence: what a run's trials say of a version, measured again and again, all looks kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.dialects.sqlite import insert

from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.part import LedgerPart
from vitruvius.memory.ledger.statements import Prepared
from vitruvius.memory.ledger.version_rows import split_name
from vitruvius.memory.records import Evidence, Standing

_evidence = schema.evidence.c
_ORDER = (_evidence.up_to, _evidence.principle, _evidence.version)
_KEYS = (_evidence.run_id, _evidence.principle, _evidence.version)
_last = (
    select(*_KEYS, func.max(_evidence.up_to).label("up_to"))
    .where(_evidence.run_id == bindparam("run"))
    .group_by(*_KEYS)
    .subquery()
)
_same = and_(*(_evidence[name] == _last.c[name] for name in _last.c.keys()))  # noqa: SIM118
_LATEST = Prepared(select(schema.evidence).join(_last, onclause=_same))


class EvidenceRows(LedgerPart):
    """The `evidence` table."""

    def add_evidence(self, evidence: Sequence[Evidence]) -> None:
        """Stores measurements; one of the same version up to the same trial stays as it is."""
        if not evidence:
            return
        rows = [asdict(one) for one in evidence]
        with self._database.write() as connection:
            connection.execute(insert(schema.evidence).on_conflict_do_nothing(), rows)

    def evidence(self, run_id: str) -> list[Evidence]:
        """Returns all measurements of a run, in order of time."""
        query = select(schema.evidence).where(_evidence.run_id == run_id).order_by(*_ORDER)
        with self._database.read() as connection:
            return [_of(row._asdict()) for row in connection.execute(query)]

    def latest_evidence(self, run_id: str) -> dict[tuple[int, int], Evidence]:
        """Returns the last measurement of each (principle, version) in a run."""
        with self._database.quick_read() as connection:
            rows = _LATEST.all(connection, run=run_id)
        return {(row.principle, row.version): _of(row._asdict()) for row in rows}

    def evidence_of(self, principle: int | str) -> list[Evidence]:
        """Returns all measurements of a principle's versions over all runs."""
        number, _ = split_name(principle)
        query = select(schema.evidence).where(_evidence.principle == number)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(_evidence.run_id, *_ORDER))
            return [_of(row._asdict()) for row in rows]


def _of(row: Mapping[str, Any]) -> Evidence:
    fields = dict(row)
    fields["standing"] = Standing(fields["standing"])
    fields["supporting"] = tuple(fields["supporting"])
    fields["contradicting"] = tuple(fields["contradicting"])
    return Evidence(**fields)

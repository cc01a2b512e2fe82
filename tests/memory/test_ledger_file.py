"""Ledger files: made, upgraded with a backup, refused when newer or damaged."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from vitruvius.errors import ConfigError
from vitruvius.memory.ledger import file as ledger_file
from vitruvius.memory.ledger.file import REVISIONS
from vitruvius.memory.ledger.ledger import Ledger

STEP = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = {new!r}, {old!r}

def upgrade():
    {body}
"""


def schema_of(path: Path) -> list[tuple[str, ...]]:
    """Every table's columns, foreign keys and indices, in no particular order of rows."""
    facts: list[tuple[str, ...]] = []
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in names.fetchall():
            for pragma in ("table_info", "foreign_key_list", "index_list"):
                for row in connection.execute(f"PRAGMA {pragma}({table})"):
                    # the first number only counts foreign keys and indices in order of making
                    facts.append((table, pragma, *map(str, row[pragma != "table_info" :])))
                    if pragma == "index_list":
                        columns = connection.execute(f"PRAGMA index_info({row[1]})").fetchall()
                        facts.append((table, row[1], *map(str, columns)))
    return sorted(facts)


def scripts_with(tmp_path: Path, body: str) -> Path:
    """Our migrations and one more step."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    own = Path(ledger_file.__file__).parent / "migrations"
    for path in (own / "env.py", *(own / "versions").glob("r*.py")):
        (folder / path.relative_to(own)).write_text(path.read_text())
    step = STEP.format(new="9999", old=REVISIONS[-1], body=body)
    (folder / "versions/r9999_next.py").write_text(step)
    return folder


def test_the_revisions_in_code_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(ledger_file.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    steps = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(step.revision for step in steps)[::-1] == REVISIONS


def test_the_scripts_make_the_tables_that_the_code_describes(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "made").close()
    migrated = tmp_path / "ledger.db"
    with closing(sqlite3.connect(migrated)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    ledger_file.upgrade(migrated, "empty")
    assert schema_of(migrated) == schema_of(tmp_path / "made/ledger.db")


def test_an_older_ledger_is_backed_up_and_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger.open(tmp_path / "home").close()
    path = tmp_path / "home/ledger.db"
    scripts = scripts_with(tmp_path, "op.add_column('runs', sa.Column('mood', sa.Text()))")
    backups = []

    def upgrade(path: Path, revision: str) -> None:
        backups.append(original(path, revision, scripts))

    original = ledger_file.upgrade
    monkeypatch.setattr(ledger_file, "upgrade", upgrade)
    ledger_file.prepare_file(path, (*REVISIONS, "9999"))
    ledger_file.prepare_file(path, (*REVISIONS, "9999"))

    assert len(backups) == 1
    assert any("mood" in row for row in schema_of(path))
    assert not any("mood" in row for row in schema_of(backups[0]))
    assert ledger_file._revision(backups[0]) == REVISIONS[-1]


def test_a_step_that_fails_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "home").close()
    path = tmp_path / "home/ledger.db"
    before = schema_of(path)
    body = "op.drop_table('marks'); op.execute('SELECT * FROM nothing')"
    with pytest.raises(Exception, match="nothing"):
        ledger_file.upgrade(path, REVISIONS[-1], scripts_with(tmp_path, body))
    assert schema_of(path) == before
    Ledger.open(tmp_path / "home").close()


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    Ledger.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match=r"newer Vitruvius.*upgrade"):
        Ledger.open(tmp_path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("this is no database, but it is long enough to be read")
    with pytest.raises(ConfigError, match="damaged or not a ledger"):
        Ledger.open(tmp_path)


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(ConfigError, match="not a Vitruvius ledger"):
        Ledger.open(tmp_path)


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        Ledger.open(tmp_path / "home")


def test_opening_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vitruvius.memory.ledger.ledger import Ledger; "
        f"Ledger.open(Path({str(tmp_path)!r})).runs.all(); "
        "heavy = {'torch', 'chromadb', 'langgraph', 'pandas', 'alembic', 'scipy', 'psutil'}; "
        "sys.exit(sorted(heavy & set(sys.modules)) or 0)"
    )
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(source)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()

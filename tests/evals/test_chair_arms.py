"""A model in one chair or both, as arms: the others' budget, its own costs, skipped without one."""

from pathlib import Path

import pytest
from runs.scripted import able_model
from small_table import told, write_tables

from vitruvius.agents.model.scripted_server import ScriptedServer
from vitruvius.evals.evaluation import Wanted, perform
from vitruvius.evals.jobs import Job, run_job
from vitruvius.evals.protocols import CHAIRS, Protocol, all_protocols

QUERIES = 14  # past the first reflection


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings that name no model, whoever runs the tests."""
    monkeypatch.setenv("VITRUVIUS_MODEL", "auto")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def served(chat_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A model that the settings name; returns who asked it, chair by chair."""
    asked: list[str] = []
    answers = able_model()

    def answer(body: dict[str, object]) -> object:
        asked.append("theorist" if "rewrite" in str(body["tools"]) else "architect")
        return answers(body)

    chat_server.otherwise = answer  # type: ignore[assignment]
    monkeypatch.setenv("VITRUVIUS_MODEL", "scripted")
    monkeypatch.setenv("VITRUVIUS_BASE_URL", chat_server.url)
    monkeypatch.setenv("VITRUVIUS_API_KEY", "not-a-real-key-12345")
    return asked


@pytest.mark.parametrize(
    ("arm", "chairs"),
    [(CHAIRS[0], {"architect", "theorist"}), (CHAIRS[1], {"theorist"}), (CHAIRS[2], {"architect"})],
)
def test_the_model_is_asked_for_its_chairs_and_pays_the_same_budget(
    arm: str, chairs: set[str], served: list[str], tmp_path: Path
) -> None:
    write_tables(tmp_path)
    outcome = run_job(Job(case=told(queries=QUERIES), arm=arm, seed=0, data=tmp_path))
    assert set(served) == chairs
    assert outcome.paid == QUERIES
    assert outcome.extra["calls"] >= len(served) > 0
    assert outcome.extra["tokens_in"] > 0
    assert outcome.extra["carried_out"] + outcome.extra["turned_down"] > 0


def test_without_a_model_its_arms_are_left_out_with_a_sentence(tmp_path: Path) -> None:
    write_tables(tmp_path)
    small = Protocol(
        name="small", about="small", cases=(told(queries=3),), arms=("random", *CHAIRS), seeds=1
    )
    wanted = Wanted(protocols=[small], data=tmp_path, out=tmp_path / "out")
    said: list[str] = []
    page, failed = perform(wanted, said.append)
    assert not failed
    assert said[0].startswith("left out: model as architect, model as theorist, model in both")
    assert said[0].endswith("name one in VITRUVIUS_MODEL")
    assert "model as" not in page.read_text()


def test_the_ablations_hold_every_way_to_share_the_chairs() -> None:
    assert {"whole", *CHAIRS} <= set(all_protocols()["ablations"].arms)

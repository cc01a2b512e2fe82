"""A model in one chair beside the analyst, from one memory: who did what, and at what price."""

from pathlib import Path

from runs.scripted import FAULTS, able_model

from vitruvius.agents.model.scripted_server import ScriptedServer
from vitruvius.evals.studies.model_arm import Arm, judged, run_arm, source_home, summary


def test_a_model_as_theorist_decides_nothing_and_what_was_caught_is_counted(
    shared_data: Path, chat_server: ScriptedServer, tmp_path: Path
) -> None:
    chat_server.otherwise = able_model(FAULTS)
    table = shared_data / "nas_bench_201.parquet"
    source = source_home(tmp_path, table, "in16", 0)
    arm = Arm(model="scripted", chairs="theorist")
    row = run_arm(
        source, tmp_path / "home", f"table:{table},metric=c10", arm, 0,
        budget="10 trials, 900k tokens", base_url=chat_server.url, api_key="not-a-real-key-12345",
    )  # fmt: skip
    assert row["arm"] == "scripted as theorist"
    assert "scripted" not in row["decided"]
    assert set(row["calls"]) == {"probe", "theorist"}
    assert row["tokens_in"] > 0
    assert sum(row["turned_down"].values()) > 0  # a slot that the space has not
    assert row["queries"] == 10
    assert "| scripted as theorist | 0 |" in summary([row])
    assert judged([{**row, "home": "home"}], tmp_path).startswith("| author |")

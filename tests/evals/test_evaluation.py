"""Protocols from start to page: resumed after a kill, written from raw files alone, no torch."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small_table import table, told, write_tables

from vitruvius.__main__ import main
from vitruvius.errors import ConfigError
from vitruvius.evals.arms.registry import find_arm
from vitruvius.evals.cases import Case
from vitruvius.evals.evaluation import Wanted, all_jobs, perform
from vitruvius.evals.jobs import Job, missing, run_job
from vitruvius.evals.outcomes import Store
from vitruvius.evals.page import reached, regrets, write_page
from vitruvius.evals.protocols import Protocol, all_protocols, find_protocols
from vitruvius.evals.tables import capped

SMALL = Protocol(
    name="small",
    about="a small table",
    cases=(told(), told("whole", queries=8)),
    arms=("gp-transfer", "random", "replay"),
    seeds=3,
    control="random",
)
ROOT = Path(__file__).parents[2]


def quiet(text: str) -> None:
    """Says nothing."""


def wanted(tmp_path: Path, protocol: Protocol = SMALL, **changes: object) -> Wanted:
    data = tmp_path / "data"
    if not data.is_dir():
        data.mkdir()
        write_tables(data)
    plain = Wanted(protocols=[protocol], data=data, out=tmp_path / "out")
    return replace(plain, **changes)  # type: ignore[arg-type]


def lines(folder: Path) -> dict[str, list[str]]:
    files = sorted((folder / "raw").rglob("*.jsonl"))
    return {str(path.relative_to(folder)): path.read_text().splitlines() for path in files}


def test_raw_results_page_and_curves_are_written(tmp_path: Path) -> None:
    page, failed = perform(wanted(tmp_path), quiet)
    assert not failed
    text = page.read_text()
    assert "## small" in text
    assert "| near from 40 random far | gp-transfer | 3 |" in text
    raw = lines(tmp_path / "out")
    assert sum(len(found) for found in raw.values()) == 3 * (2 * 2 + 2)  # random: once a budget
    assert len(list((tmp_path / "out/curves").glob("*.svg"))) == 2
    assert json.loads((tmp_path / "out/about.jsonl").read_text())["packages"]["numpy"]


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    said: list[str] = []
    perform(wanted(tmp_path, seeds=2), quiet)
    before = lines(tmp_path / "out")
    perform(wanted(tmp_path), said.append)
    assert said[0].startswith("6 searches to make")
    after = lines(tmp_path / "out")
    assert all(after[name][:2] == found for name, found in before.items())
    said.clear()
    perform(wanted(tmp_path), said.append)
    assert said == []


def test_a_line_that_a_kill_cut_off_is_made_again(tmp_path: Path) -> None:
    first = wanted(tmp_path, seeds=2)
    perform(first, quiet)
    store, jobs = Store(first.out), all_jobs(first.protocols, first)
    path = store.path(jobs[0].case, jobs[0].arm)
    whole = path.read_text()
    path.write_text(whole[:-40])
    assert missing(jobs, store) == [jobs[1]]
    perform(first, quiet)
    assert [json.loads(line)["seed"] for line in path.read_text().splitlines()] == [0, 1]
    first_line = path.read_text().splitlines()[0]
    assert first_line == whole.splitlines()[0]


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_where_it_was(tmp_path: Path) -> None:
    data = wanted(tmp_path).data
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom pathlib import Path\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "from evals.test_evaluation import SMALL, quiet\n"
        "from vitruvius.evals.evaluation import Wanted, perform\n"
        "if __name__ == '__main__':\n"
        "    perform(Wanted(protocols=[SMALL], data=Path(sys.argv[1]), out=Path(sys.argv[2]),\n"
        "        seeds=400, processes=2), quiet)\n"
    )
    out = tmp_path / "out"
    words = [sys.executable, str(program), str(data), str(out), str(ROOT / "tests")]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}"}
    process = subprocess.Popen(words, env=environment, start_new_session=True)
    deadline = time.monotonic() + 60
    while sum(map(len, lines(out).values())) < 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = sum(map(len, lines(out).values()))
    assert 20 <= done < 6 * 400
    assert workers
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    again = wanted(tmp_path, seeds=5)
    perform(again, quiet)
    assert missing(all_jobs(again.protocols, again), Store(out)) == []


def test_the_page_is_a_function_of_the_raw_files(tmp_path: Path) -> None:
    first = wanted(tmp_path)
    page, _ = perform(first, quiet)
    text = page.read_text()
    page.unlink()
    for path in first.data.iterdir():
        path.unlink()  # nothing else is needed
    assert write_page(first.protocols, Store(first.out)).read_text() == text


def test_an_outcome_is_a_pure_function_of_the_job(tmp_path: Path) -> None:
    given = wanted(tmp_path)
    for job in all_jobs(given.protocols, replace(given, seeds=1)):
        one, two = run_job(job), run_job(job)
        assert (one.trace, one.hit, one.steps) == (two.trace, two.hit, two.steps)


def test_a_failed_search_is_told_and_the_others_are_kept(tmp_path: Path) -> None:
    lost = replace(SMALL, cases=(*SMALL.cases, Case(target=table("lost"), queries=3)))
    said: list[str] = []
    _, failed = perform(wanted(tmp_path, lost, seeds=1), said.append)
    assert {failure.arm for failure in failed} == set(SMALL.arms)
    assert all("lost.csv" in failure.reason for failure in failed)
    assert sum(map(len, lines(tmp_path / "out").values())) == 6


def test_curves_are_shares_and_means(tmp_path: Path) -> None:
    given = wanted(tmp_path)
    case = told(queries=12)
    found = {
        seed: run_job(Job(case=case, arm="gp-transfer", seed=seed, data=given.data))
        for seed in range(4)
    }
    hits = capped(found, 12)
    assert reached(found, case)[4] == sum(hit <= 5 for hit in hits) / 4
    assert (reached(found, case)[1:] >= reached(found, case)[:-1]).all()
    assert regrets(found, case)[-1] == pytest.approx(
        sum(outcome.regret_at(12) for outcome in found.values()) / 4
    )


def test_every_protocol_names_arms_that_exist() -> None:
    for protocol in all_protocols().values():
        assert len(protocol.cases) == len({case.key for case in protocol.cases})
        for arm in protocol.arms:
            assert find_arm(arm).name == arm
    with pytest.raises(ConfigError, match="no protocol 'cools'"):
        find_protocols(["cools"])
    with pytest.raises(ConfigError, match="no arm 'x'"):
        find_arm("x")


def test_protocols_are_listed_and_torch_is_not_imported(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[1])\n"
        "from small_table import told, write_tables\n"
        "from vitruvius.evals.jobs import Job, run_job\n"
        "write_tables(Path(sys.argv[2]))\n"
        "run_job(Job(case=told(), arm='transfer', seed=0, data=Path(sys.argv[2])))\n"
        "assert 'torch' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}"}
    words = [sys.executable, "-c", program, str(ROOT / "tests"), str(tmp_path)]
    subprocess.run(words, check=True, env=environment)


def test_the_command_lists_and_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shared_data: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["eval", "--list", "--json"])
    assert ended.value.code == 0
    told_of = json.loads(capsys.readouterr().out)
    assert "cold" in {protocol["name"] for protocol in told_of["protocols"]}
    words = ["eval", "cold", "--data", str(shared_data), "--out", str(tmp_path), "--seeds", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--arms", "random", "--arms", "flops", "--processes", "1"])
    assert ended.value.code == 0
    assert "| c10 | flops | 1 | 15 [15, 15] |" in (tmp_path / "results.md").read_text()

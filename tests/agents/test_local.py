"""A model file in the chairs: clear sentences where it cannot be served, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

import vitruvius as vt
from vitruvius.agents.model.local import served
from vitruvius.agents.model.resolving import resolve_model
from vitruvius.cli.doctor import all_checks
from vitruvius.errors import ConfigError
from vitruvius.evals.studies.small_model import Unavailable, fetch
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.settings import load_settings, resolve

Wishes = Callable[..., Any]


@pytest.fixture
def no_model(tmp_path: Path) -> Path:
    path = tmp_path / "page.gguf"
    path.write_text("<html>404</html>")
    return path


def test_a_file_that_is_not_there_is_named(tmp_path: Path, wishes: Wishes) -> None:
    with pytest.raises(ConfigError, match=r"no\.gguf cannot be read .No such file"):
        resolve_model(wishes(model=str(tmp_path / "no.gguf")))


def test_a_file_that_is_no_model_is_refused_before_any_work(no_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"page\.gguf is no GGUF file: it begins with b'<htm'"):
        vt.search(model=str(no_model), home=tmp_path / "home", budget="4 trials, 1k tokens")
    assert not (tmp_path / "home").exists()


def test_a_missing_extra_is_named_with_its_command(
    tmp_path: Path, wishes: Wishes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "good.gguf"
    path.write_bytes(b"GGUF....")
    monkeypatch.setattr("vitruvius.agents.model.local.ENGINE", "no_such_engine")
    with pytest.raises(ConfigError, match=r"pip install 'vitruvius\[local\]'"):
        resolve_model(wishes(model=str(path)))


@pytest.mark.skipif(find_spec("xllamacpp") is None, reason="the dev group holds it")
def test_a_broken_model_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(ConfigError, match=r"cut\.gguf could not be served: .+"), served(path):
        pass
    assert not [p for p in psutil.Process().children() if "cut.gguf" in " ".join(p.cmdline())]


def test_a_model_file_is_stored_as_a_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({"model": "small.gguf"}).model == str(tmp_path / "small.gguf")
    assert load_settings({"model": "gpt-5"}).model == "gpt-5"


@pytest.fixture(scope="module")
def model_file() -> Path:
    pytest.importorskip("xllamacpp", reason="the dev group holds it")
    try:
        return fetch("smollm2-135m")
    except Unavailable as error:
        pytest.skip(str(error))


def servers() -> list[psutil.Process]:
    """The servers that this process started: other tests may serve the same file."""
    started = psutil.Process().children(recursive=True)
    return [one for one in started if "vitruvius.agents.model.local" in one.cmdline()]


@pytest.mark.llm
@pytest.mark.timeout(600)
def test_a_run_with_a_model_file_ends_with_its_server_gone(
    model_file: Path, tmp_path: Path, tiny: dict[str, Any]
) -> None:
    run = vt.search(
        **tiny, model=str(model_file), budget="6 trials", home=tmp_path, prompt_tokens=1800
    )
    with Ledger.open(tmp_path) as ledger:
        calls = ledger.steps.calls(run.id)
    assert {call.model for call in calls} == {"smollm2-135m"}
    assert any(call.chair == "architect" and call.error is None for call in calls)
    assert not servers()


@pytest.mark.llm
@pytest.mark.timeout(600)
def test_the_server_ends_when_its_starter_is_killed(model_file: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from vitruvius.agents.model.local import served\n"
        "with served(Path(sys.argv[1])) as url: print(url, flush=True); time.sleep(600)"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", program, str(model_file)]
    starter = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env)
    assert starter.stdout is not None
    assert starter.stdout.readline().startswith("http://127.0.0.1:")
    (server,) = psutil.Process(starter.pid).children()
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    deadline = time.monotonic() + 20
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the server outlived its starter"
        time.sleep(0.1)


@pytest.mark.llm
@pytest.mark.timeout(600)
def test_the_doctor_says_what_a_model_file_can_do(model_file: Path, tmp_path: Path) -> None:
    resolved = resolve({"home": tmp_path, "model": str(model_file)})
    (finding,) = [one for one in all_checks(resolved) if one.name == "model"]
    assert finding.ok, finding.text
    assert "json_schema yes" in finding.text
    assert "decisions as json_schema" in finding.text

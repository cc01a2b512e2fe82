"""`vitruvius chat` as a person uses it: in a real pseudo-terminal, and in a pipe."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from small_story import tell_small_story

import vitruvius as vt
from vitruvius.agents.model.scripted_server import ScriptedServer, call, say
from vitruvius.memory.ledger.ledger import Ledger

SRC = Path(__file__).parents[1] / "src"
PROMPT = "you>"  # what follows is a move of the cursor, not a blank
WIDE = {"width": "12", "activation": "relu", "norm": "no"}
Start = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def environment(small_run: vt.SearchRun) -> dict[str, str]:
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("VITRUVIUS_", "OPENAI_"))}
    return kept | {
        "PYTHONPATH": str(SRC),
        "VITRUVIUS_HOME": str(small_run.home),
        "PROMPT_TOOLKIT_NO_CPR": "1",  # nobody answers where the cursor is
        "TERM": "xterm-256color",
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts the command in a pseudo-terminal and waits for its first prompt."""
    children = []

    def spawn(*words: str, first: str = PROMPT, **more: str) -> "pexpect.spawn[str]":
        child = pexpect.spawn(
            sys.executable, ["-m", "vitruvius", "chat", *words], env=environment | more,
            cwd=str(tmp_path), encoding="utf-8", timeout=40, dimensions=(50, 150),
        )  # fmt: skip
        children.append(child)
        child.expect_exact(first)
        return child

    yield spawn
    for child in children:
        child.close(force=True)


def leave(child: "pexpect.spawn[str]") -> None:
    child.sendeof()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_the_analyst_answers_at_a_terminal(start: Start, small_run: vt.SearchRun) -> None:
    child = start()
    assert f"run {small_run.id} is interrupted" in child.before
    child.sendline("why is T6 the best?")
    child.expect_exact("T5 differs in norm alone")
    child.expect_exact(PROMPT)
    child.sendline("/best")
    child.expect_exact("best so far: 18 █")
    child.expect_exact(PROMPT)
    child.send("/comp\t")
    child.expect_exact("are")  # completed to /compare
    child.send(" T6 T7\r")
    child.expect_exact("T6 leads by 4.2")
    child.expect_exact(PROMPT)
    child.sendline("/model gpt-x")
    child.expect_exact("needs an endpoint")
    child.expect_exact(PROMPT)
    leave(child)
    assert "+/model gpt-x" in (small_run.home / "chat_history").read_text()


def test_a_model_answers_and_a_training_is_refused_at_a_terminal(
    start: Start, small_run: vt.SearchRun
) -> None:
    with ScriptedServer().running() as server:
        server.enqueue(
            call("trials", {"limit": 2}),
            call("train", {"architectures": [WIDE], "reason": "width 12 is thin"}),
            say("Then not. T6 stays the best."),
        )
        child = start("--model", "scripted", OPENAI_BASE_URL=server.url)
        child.sendline("train something")
        child.expect_exact("· trials limit=2")
        child.expect_exact("2 of 9 trials")
        child.expect_exact("Train 1 architecture, about 1 s of training?")
        child.expect_exact('"width":"12"')
        child.expect_exact("or why not>")
        child.sendline("too dear")
        child.expect_exact("T6 stays the best.")
        child.expect_exact(PROMPT)
        arrived = threading.Event()
        server.otherwise = lambda body: arrived.set() or say("never", hang_s=60)
        child.sendline("think long")
        assert arrived.wait(30)
        child.sendintr()
        child.expect_exact("(stopped)")
        child.expect_exact(PROMPT)
        leave(child)
    assert "too dear" in str(server.bodies[-1]["messages"])


def test_a_session_killed_while_a_question_is_open_asks_it_again(
    start: Start, small_run: vt.SearchRun
) -> None:
    child = start()
    child.sendline("/train T6 norm=yes activation=relu")
    child.expect_exact("or why not>")
    child.kill(9)
    child.expect(pexpect.EOF)
    again = start(first="or why not>")
    assert "Train 1 architecture" in again.before
    assert '"activation":"relu"' in again.before
    again.sendline("no")
    again.expect_exact("Not done")
    again.expect_exact(PROMPT)
    leave(again)
    with Ledger.open(small_run.home) as ledger:
        assert ledger.requests.threads(small_run.id) == ["chat-1"]


@pytest.mark.slow
def test_a_principle_is_taught_and_corrected_before_it_is_stated(start: Start) -> None:
    child = start()
    child.sendline("/teach deep networks are good")
    child.expect_exact("names nothing of this space")
    child.expect_exact(PROMPT)
    child.sendline("/teach wide networks are good")
    child.expect_exact("Understood as the rule: width on the upper side of its median")
    child.expect_exact("otherwise>")
    child.sendline("width at least 12 and no norm")
    child.expect_exact("Understood as the rule: width >= 12 and norm = no")
    child.expect_exact("otherwise>")
    child.sendline("no, let it be")
    child.expect_exact("refused: let it be")
    child.expect_exact(PROMPT)
    leave(child)


@pytest.mark.slow
def test_escape_codes_of_others_never_reach_the_terminal(start: Start, tmp_path: Path) -> None:
    evil = "\x1b]0;pwned\x07\x1b[31mred\x9b31m"
    run = tell_small_story(tmp_path / "evil", message=evil, more=evil)
    child = start("--home", str(run.home))
    for line in ("/principles", "/why P1", "/trial T4", "/region", "/learned", "/quit"):
        child.sendline(line)
    child.expect(pexpect.EOF)
    assert "pwned" in child.before
    assert "pwned\x07" not in child.before
    assert "\x1b[31mred" not in child.before


def test_lines_come_from_a_pipe(environment: dict[str, str], small_run: vt.SearchRun) -> None:
    lines = "/why P1\nsing\n/train T6 norm=yes activation=relu\nnot now\n/nonsense\n"
    done = subprocess.run(
        [sys.executable, "-m", "vitruvius", "chat", small_run.id], input=lines, text=True,
        capture_output=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for said in ("you> /why P1", "For it: T5-T6, T8", "Without a model I can only answer",
                 "the person refused: not now", "there is no command /nonsense"):  # fmt: skip
        assert said in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_an_end_of_input_leaves_the_question_open(
    environment: dict[str, str], small_run: vt.SearchRun
) -> None:
    def chat(lines: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "vitruvius", "chat"], input=lines, text=True,
            capture_output=True, env=environment, check=True,
        ).stdout  # fmt: skip

    assert "the question stays open" in chat("/prune P1\n")
    assert "Cut the space by P1?" in chat("no\n")

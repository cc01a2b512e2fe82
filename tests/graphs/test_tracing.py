"""LangSmith's own client against a collector on loopback; and silence without its variables."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from runs.helpers import LOOKUP, SPACE, command

KEY = "lsv2_pt_not_a_real_key_1234567890"


class Collector:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, bytes]] = []
        self.keys: set[str | None] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.posts.append((self.path, body))
                collector.keys.add(self.headers.get("x-api-key"))
                self._answer()

            def _answer(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LANGSMITH", "LANGCHAIN"))}
    source = str(Path(__file__).parents[2] / "src")
    return kept | {"PYTHONPATH": source, "VITRUVIUS_HOME": str(tmp_path / "home")} | more


def search() -> list[str]:
    return command("run", "--task", LOOKUP, "--space", SPACE, "--budget", "5 trials", "--model",
                   "analyst", "--json")  # fmt: skip


def test_a_run_is_traced_under_its_id_where_the_variables_say_so(
    collector: Collector, tmp_path: Path
) -> None:
    variables = {
        "LANGSMITH_TRACING": "true", "LANGSMITH_ENDPOINT": collector.url, "LANGSMITH_API_KEY": KEY,
        "LANGSMITH_PROJECT": "cells",
    }  # fmt: skip
    done = subprocess.run(
        search(), env=environment(tmp_path, **variables), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run_id = json.loads(done.stdout)["run"]["id"]
    assert {path for path, _ in collector.posts} == {"/runs/multipart"}
    assert collector.keys == {KEY}
    sent = b"".join(body for _, body in collector.posts).decode(errors="replace")
    assert f'"run:{run_id}"' in sent
    assert f'"run":"{run_id}"' in sent
    assert '"session_name":"cells"' in sent
    assert all(f'"name":"{node}"' in sent for node in ("recall", "architect", "act", "report"))
    assert KEY not in sent
    files = [file for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert not [file for file in files if KEY.encode() in file.read_bytes()]


def test_without_the_variables_no_thread_is_started_and_nothing_is_sent(tmp_path: Path) -> None:
    program = (
        "import socket, threading\n"
        "def refuse(self, address):\n"
        "    raise AssertionError(f'a connection to {address}')\n"
        "socket.socket.connect = socket.socket.connect_ex = refuse\n"
        "import vitruvius as vt\n"
        f"run = vt.search({LOOKUP!r}, {SPACE!r}, '5 trials', model='analyst')\n"
        "import langsmith.run_trees as trees\n"
        "assert trees._CLIENT is None\n"
        "names = [t.name for t in threading.enumerate()]\n"
        "assert not [n for n in names if 'tracing' in n], names\n"
        "print(run.record.status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(tmp_path), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_collector_that_is_down_keeps_no_run_from_its_end(tmp_path: Path) -> None:
    variables = {
        "LANGSMITH_TRACING": "true", "LANGSMITH_ENDPOINT": "http://127.0.0.1:9",
        "LANGSMITH_API_KEY": KEY,
    }  # fmt: skip
    done = subprocess.run(
        search(), env=environment(tmp_path, **variables), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"]["status"] == "done"
    assert KEY not in done.stderr

"""The board in a real browser, over a ledger that a run is writing."""

import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HOSTILE, Story
from playwright.sync_api import Page, expect, sync_playwright
from serving import serve
from small_table import SLOTS, write_tables

from vitruvius import api
from vitruvius.events import Event, EventKind

SRC = Path(__file__).parents[1] / "src"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def board(tmp_path: Path) -> Iterator[str]:
    """The address of a board of the home `tmp_path / "home"`, served by the real command."""
    with serve(tmp_path / "home") as url:
        yield url


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page of a real browser; what the page's own scripts complain of fails the test."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found = browser.new_page()
        found.set_default_timeout(30_000)
        yield found
        browser.close()


def test_it_starts_empty_and_a_run_appears_advances_and_ends(
    board: str, page: Page, tmp_path: Path
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(board)
    expect(page.get_by_text("No runs yet")).to_be_visible()

    write_tables(tmp_path)
    table = f"table:{tmp_path}/near.csv,columns={';'.join(SLOTS)}"
    halfway, go_on = threading.Event(), threading.Event()

    def listen(event: Event) -> None:
        if event.kind == EventKind.TRIAL_DONE and event.data["trial"] == "T8":
            halfway.set()
            go_on.wait(60)

    made = api.create(
        f"{table},metric=accuracy", table, "16 trials", home=tmp_path / "home", model="analyst"
    )
    driver = threading.Thread(target=made.resume, kwargs={"on_event": listen})
    driver.start()
    try:
        assert halfway.wait(60)
        row = page.locator(f"#run-{made.id}")
        expect(row).to_contain_text("running")
        expect(row).to_contain_text("of 16")
        page.goto(f"{board}/runs/{made.id}")
        expect(page.get_by_text("T8", exact=True).first).to_be_attached()
        page.evaluate("window.kept = 'the page was not loaded anew'")
    finally:
        go_on.set()
        driver.join(60)
    expect(page.get_by_text("T16", exact=True).first).to_be_attached()
    assert page.evaluate("window.kept") == "the page was not loaded anew"
    page.goto(board)
    expect(row).to_contain_text("done")
    expect(row).to_contain_text("16 of 16")
    assert not errors


def test_hostile_names_stay_text(page: Page, story: Story) -> None:
    alerts: list[str] = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    with serve(story.home) as url:
        page.goto(f"{url}/runs/{story.run_id}")
        assert page.locator("main script").count() == 0
        assert "<script>alert(1)</script>" in HOSTILE
        assert page.get_by_text("<script>alert(1)</script>").count() > 0
    assert not alerts


def test_nothing_but_reading_is_served_and_only_to_this_machine(board: str) -> None:
    def status(url: str, method: str = "GET", host: str | None = None) -> int:
        request = urllib.request.Request(url, method=method)
        if host is not None:
            request.add_header("Host", host)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    assert status(board) == 200
    assert status(f"{board}/runs/261122-none") == 404
    assert {status(board, method) for method in ("POST", "PUT", "DELETE", "PATCH")} == {405}
    assert status(board, host="evil.example") == 400


def test_a_taken_port_is_one_sentence(board: str, tmp_path: Path) -> None:
    port = board.rsplit(":", 1)[1]
    told = subprocess.run(
        [sys.executable, "-m", "vitruvius", "board", "--port", port, "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )
    assert told.returncode == 2
    assert f"port {port}" in told.stderr
    assert "Traceback" not in told.stderr

"""The tutorial, as a new user would type it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LATEST = "import json, sys; print(json.load(sys.stdin)[0]['id'])"
BEFORE = f"""
set -euo pipefail
vitruvius() {{ "$PYTHON" -m vitruvius "$@"; }}
latest() {{ vitruvius runs --json | "$PYTHON" -c "{LATEST}"; }}
"""


def script() -> str:
    """Returns the commands of the page; ids that a reader would copy are looked up."""
    lines = [BEFORE]
    for part in (ROOT / "docs/tutorial.md").read_text(encoding="utf-8").split("```sh\n")[1:]:
        for line in part.split("```")[0].splitlines():
            lines.append(line.replace(" RUN", ' "$RUN"').replace(" FORK", ' "$FORK"'))
            if line.startswith("vitruvius run ") and "--estimate" not in line:
                lines.append("RUN=$(latest)")
            if line.startswith("vitruvius fork "):
                lines.append("FORK=$(latest)")
    return "\n".join(lines)


@pytest.mark.slow
def test_every_command_of_the_tutorial_works(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT / "src"),
        "VITRUVIUS_HOME": str(tmp_path / "home"),
    }
    told = subprocess.run(
        ["bash", "-c", script()], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert list((tmp_path / "my_network").glob("*.py"))
    assert "T1" in told.stdout

"""The command line, called in the process of the tests."""

import json
from typing import Any

import pytest

from vitruvius.__main__ import main


class Shell:
    """Calls the command line in this process and keeps what it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = self._capsys.readouterr()
        self.err = captured.err
        assert (ended.value.code or 0) == code, captured.out + captured.err
        return captured.out

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code))

"""Keys are blanked out, and nothing else is."""

import pytest

from vitruvius.memory.ledger.database import HIDDEN, redact_settings, redact_texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Incorrect API key: sk-proj-abcdef0123456789abcd.", f"Incorrect API key: {HIDDEN}."),
        ("Authorization: Bearer abcdefgh12345678", f"Authorization: Bearer {HIDDEN}"),
        ("skip-connections and sk-short stay", "skip-connections and sk-short stay"),
        ("nor_conv_3x3 at edge_0_3", "nor_conv_3x3 at edge_0_3"),
    ],
)
def test_keys_in_texts(text: str, expected: str) -> None:
    assert redact_texts(text) == expected


def test_known_keys_whatever_they_look_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "tiny-elephants")
    monkeypatch.setenv("OTHER_API_KEY", "x")
    assert redact_texts("say tiny-elephants x", ["elephant"]) == f"say {HIDDEN} x"
    assert redact_texts("an elephant", ["elephant"]) == f"an {HIDDEN}"


def test_settings_by_name_and_texts_by_content() -> None:
    data = {"api_key": "abc", "max_tokens": 5, "inner": [{"password": "p"}], "home": "/a/b"}
    hidden = {"api_key": HIDDEN, "max_tokens": 5, "inner": [{"password": HIDDEN}], "home": "/a/b"}
    assert redact_settings(data) == hidden
    assert redact_texts(data) == data

"""Text of others stays text, whatever it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from vitruvius.tools.safe_text import clean, code, escape, names

ENGINE = MarkdownIt("commonmark").enable(["table", "strikethrough"])
hostile = st.text(max_size=60) | st.text(alphabet="\\`*_[]<>#|!~&@$^{}()-+=.:/ ab1w\n", max_size=40)


@given(hostile)
def test_escaped_text_is_read_as_itself(text: str) -> None:
    (_, inline, _) = ENGINE.parse(f"Says: {escape(text)}.")
    assert {child.type for child in inline.children or ()} <= {"text", "text_special"}
    shown = "".join(child.content for child in inline.children or ())
    assert shown == f"Says: {clean(text)}."


@given(hostile)
def test_escaped_text_stays_in_its_table_cell(text: str) -> None:
    tokens = ENGINE.parse(f"| a | b |\n|---|---|\n| {escape(text)} | {code(text)} |")
    cells = [token for token in tokens if token.type == "td_open"]
    assert len(cells) == 2
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "text_special", "code_inline"}


@given(hostile)
def test_a_code_span_shows_its_text(text: str) -> None:
    (_, inline, _) = ENGINE.parse(f"Says: {code(text)}.")
    shown = "".join(child.content for child in inline.children or ())
    assert shown.replace(" ", "") == f"Says: {clean(text)}.".replace(" ", "")


@given(st.text(max_size=80))
def test_cleaned_text_is_one_harmless_line(text: str) -> None:
    shown = clean(text)
    assert shown.isprintable()
    assert "\n" not in shown
    assert clean(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("a\u202eb", "ab"),  # right-to-left override
        ("a\n\n# b", "a # b"),
        ("x" * 700, "x" * 599 + "…"),
    ],
)
def test_what_could_fool_a_terminal_goes(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_bare_links_do_not_become_links() -> None:
    assert escape("see http://evil.example and www.evil.example") == (
        "see http\\://evil.example and www\\.evil.example"
    )
    assert escape("edge_0_3 = nor_conv") == "edge_0_3 = nor_conv"


def test_trial_names_are_joined() -> None:
    assert names([3, 1, 2, 7, 9, 8]) == "T1-T3, T7-T9"
    assert names([]) == ""

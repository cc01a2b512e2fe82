"""Answers kept as messages of a conversation, and read again."""

from __future__ import annotations

from vitruvius.memory.ledger.requests import Message
from vitruvius.tools.questions.book import Answer


def words_of(message: Message) -> str:
    """Returns a message whole, as text: what was said, and the table or drawing beside it."""
    drawing = message.data.get("drawing") or {}
    return Answer(
        text=message.text,
        headers=drawing.get("headers", ()),
        rows=drawing.get("rows", ()),
        picture=drawing.get("picture", ""),
    ).words

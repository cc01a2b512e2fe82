"""The prompt of one turn of a conversation, rendered from the ledger within a budget of tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from vitruvius.agents.chairs.prompt import template
from vitruvius.agents.model.quoting import fenced, quoted
from vitruvius.memory.ledger.requests import Message
from vitruvius.tools.questions.book import Book, words_of
from vitruvius.tools.questions.learned import principles
from vitruvius.tools.questions.looking import best, budget

NOW_CHARS = 4000  # of a tool's result in the turn under way
THEN_CHARS = 400  # of one in an earlier turn
MOST_PRINCIPLES = 8
ASK = "Answer the person's last message."
ASK_WITHOUT_TOOLS = "No more tools in this turn: answer with what is known by now, in words."

Count = Callable[[str], int]


def render_page(
    book: Book, messages: Sequence[Message], ask: str, *, count: Count, budget: int
) -> str:
    """Returns the page in at most `budget` tokens, as `count` counts them.

    The turn under way comes first: its question is always there, its results are shortened until
    they fit. Then earlier messages from the last one back; the digest gives up its details before
    the question does.
    """
    start = max((i for i, m in enumerate(messages) if m.role == "user"), default=0)
    earlier, now = messages[:start], messages[start:]
    for limit in (NOW_CHARS, NOW_CHARS // 4, NOW_CHARS // 16, 60):
        turn = [_line(message, limit) for message in now]
        for detail in (2, 1, 0):
            page = _page(book, turn, ask, detail)
            room = budget - count(page)
            if room >= 0:
                before = _that_fit(earlier, count, room)
                return _page(book, [*before, *turn], ask, detail) if before else page
    keep = max(200, 2 * budget)  # a question longer than the budget: its beginning
    return _page(book, ["\n".join(turn)[:keep]], ask, 0)


def _that_fit(messages: Sequence[Message], count: Count, room: int) -> list[str]:
    """Returns the latest messages that fit, oldest first, and how many do not."""
    lines: list[str] = []
    room -= count("(999 earlier messages are left out)") + 1
    for message in reversed(messages):
        line = _line(message, THEN_CHARS)
        cost = count(line) + 1
        if cost > room:
            break
        room -= cost
        lines.append(line)
    left_out = len(messages) - len(lines)
    if left_out:
        lines.append(f"({left_out} earlier messages are left out)")
    return lines[::-1]


def _page(book: Book, talk: Sequence[str], ask: str, detail: int) -> str:
    return template("chat_page").substitute(
        run="\n".join(_run(book)),
        space=book.space.describe() if detail == 2 else book.space.name,
        standing="\n".join(_standing(book)) if detail else "See the tools.",
        talk="\n".join(talk),
        ask=ask,
    )


def _run(book: Book) -> Iterator[str]:
    run = book.report.run
    metric = book.task.metric
    better = "higher" if metric.direction == "max" else "lower"
    yield (
        f"Run {run.id}, {run.status.value}: task {quoted(run.task_name, 80)} on space "
        f"{quoted(run.space_name, 80)}; {metric.name}, {better} is better."
    )
    yield f"{book.report.n_trials} trials. {budget(book).text}"


def _standing(book: Book) -> Iterator[str]:
    """Yields the digest: the best network, the first principles, the cuts, as data."""
    lines = [best(book).text]
    known = principles(book)
    lines += [" | ".join(row) for row in known.rows[:MOST_PRINCIPLES]]
    more = len(known.rows) - MOST_PRINCIPLES
    if more > 0:
        lines.append(f"({more} more principles: ask the tool)")
    cuts = [audit.cut for audit in book.report.cuts if audit.cut.in_force]
    lines.append(
        f"cuts in force: {', '.join(f'{cut.number} by {cut.principle}' for cut in cuts) or 'none'}"
    )
    yield fenced(line.replace("<", "(") for line in lines)


def _line(message: Message, limit: int) -> str:
    """Returns a message for the page; what tools said is data."""
    text = words_of(message)
    if message.role == "user":
        return f"Person: {text}"
    if message.role == "tool":
        cut = text if len(text) <= limit else f"{text[:limit]}..."
        return f"Result of {message.data.get('tool', 'a tool')}:\n" + fenced(
            [cut.replace("<", "(")]
        )
    calls = [
        f"You called {json.dumps(call, ensure_ascii=False)}"
        for call in message.data.get("calls", ())
    ]
    return "\n".join([*([f"You: {text[:NOW_CHARS]}"] if text else []), *calls])

"""A search space of one's own for text: recurrent layers over embedded tokens.

Use it with `vitruvius run --space docs/examples/my_language_model.py:space --task topics`.
"""

from torch import Tensor, nn

from vitruvius.errors import ConfigError
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, Signature, Slot

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class LanguageModel(nn.Module):
    """Tokens [B, T] to the logits of the tokens that follow, [B, T, vocabulary]."""

    def __init__(self, cell: str, vocabulary: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.layers = CELLS[cell](width, width, layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.decoder = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden, _ = self.layers(self.dropout(self.embedding(tokens)))
        return self.decoder(self.dropout(hidden))


def build(architecture: Architecture, signature: Signature) -> nn.Module:
    """Makes the network of an architecture, where a language model is asked for."""
    if signature.vocabulary is None or not signature.causal:
        raise ConfigError("space my_language_model builds language models only; use --task topics")
    spec = architecture.spec
    return LanguageModel(
        cell=spec["cell"],
        vocabulary=signature.vocabulary,
        width=int(spec["width"]),
        layers=int(spec["layers"]),
        dropout=float(spec["dropout"]),
    )


def numbers(*values: float) -> tuple[Choice, ...]:
    """Choices with a value: their slot becomes one ordinal feature."""
    return tuple(Choice(name=f"{value:g}", value=value) for value in values)


space = SlotSpace(
    "my_language_model",
    [
        Slot(name="cell", choices=tuple(Choice(name=name) for name in CELLS)),
        Slot(name="layers", choices=numbers(1, 2), description="recurrent layers"),
        Slot(name="width", choices=numbers(16, 32, 64, 96), description="units of a layer"),
        Slot(name="dropout", choices=numbers(0, 0.2, 0.5), description="share of units dropped"),
    ],
    build=build,
    description="Embedding, recurrent layers of one kind, linear decoder.",
)

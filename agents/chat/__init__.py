"""The conversation about a run: commands, intents, plain words, and a model that speaks."""

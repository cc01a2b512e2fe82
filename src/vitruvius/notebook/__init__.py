"""How a run is shown in a notebook: cards, frames, plots, live progress."""

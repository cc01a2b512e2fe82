"""The chairs of architect and theorist: what a model is shown, asked, and how it is read."""

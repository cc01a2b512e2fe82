"""One-off studies behind figures in the documents; not in the wheel."""

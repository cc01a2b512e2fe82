"""Does it help: protocols, baselines, benches. Nothing imports this package."""

"""Who decides: models, prompts, architect, theorist, analyst."""

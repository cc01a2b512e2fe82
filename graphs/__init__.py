"""In what order: the graphs of search and chat, and what drives them."""

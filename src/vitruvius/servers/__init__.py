"""Doors for programs: LangGraph servers and the Model Context Protocol."""

"""Room: the agent's ServiceAccount."""

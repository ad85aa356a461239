"""A door for people and pipelines: the same parse, checks and desired objects as the operator's."""

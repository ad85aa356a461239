"""Fault campaigns: what becomes of everything when a request, a watch, a server or the operator
itself fails at the worst moment."""

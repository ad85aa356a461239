"""What went wrong on the way, in words that don't change from one try to the next."""

import ssl

import aiohttp


def what_failed(error: Exception) -> str:
    """One of a few phrases: status and events must not flap between two names of one cause."""
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "its certificate can't be verified"
    if isinstance(error, TimeoutError):
        return "not in time"
    return "no connection"

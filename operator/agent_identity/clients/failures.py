"""What went wrong on the way, in words that don't change from one try to the next."""

import ssl

import aiohttp


def is_untrusted(error: Exception) -> bool:
    """Whether the other side showed a certificate that can't be verified."""
    return isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.CertificateError)


def what_failed(error: Exception) -> str:
    """One of a few phrases: status and events must not flap between two names of one cause."""
    if is_untrusted(error):
        return "its certificate can't be verified"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "no TLS connection"
    if isinstance(error, TimeoutError):
        return "not in time"
    return "no connection"

"""Room: the SPIFFE ID."""

"""Room: secrets from Vault or OpenBao."""

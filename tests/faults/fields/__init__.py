"""Every field of every kind, and what becomes of everything when it is changed: after Acto (SOSP
2023), by schema, with consistency, differential and recovery oracles."""

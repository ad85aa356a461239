"""The kinds, their conditions, and the CRDs that are generated from them."""

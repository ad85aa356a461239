"""Room: Kubernetes rights."""

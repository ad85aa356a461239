"""An operator that gives every AI agent on Kubernetes one least-privilege mTLS identity."""

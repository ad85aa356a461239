"""Room: who may call the agent, enforced by Istio."""

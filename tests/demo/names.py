"""Names and commands that several chapters use."""

POLICY = "authorizationpolicy agentidentity-billing-agent -n agents"
ROLE = "demo_agents_billing-agent"
SECRET = "agents/billing-agent/api-key"
SECRET_VALUE = "only-for-billing-agent"
LOGIN = "bao write -field=token auth/kubernetes/login"
READ_SECRET = f"bao kv get -mount=kv -field=value {SECRET}"
NOTHING = "No resources found in agents namespace."
_KINDS = "serviceaccount,rolebinding,peerauthentication,authorizationpolicy"


def owned_by(identity: str) -> str:
    """The command that lists what an identity has in the cluster."""
    return f"kubectl get {_KINDS} \\\n    -n agents -l agentidentity.dev/identity={identity}"


def role_of(identity: str) -> str:
    """The command that reads an identity's Vault role."""
    return f"bao read auth/kubernetes/role/demo_agents_{identity}"

"""Names and commands that several chapters use."""

from demo.mesh import Pod

POLICY = "authorizationpolicy agentidentity-billing-agent -n agents"
ROLE = "demo_agents_billing-agent"
SECRET = "agents/billing-agent/api-key"
SECRET_VALUE = "only-for-billing-agent"
LOGIN = "bao write -field=token auth/kubernetes/login"
READ_SECRET = f"bao kv get -mount=kv -field=value {SECRET}"
# As callers, and as pods that are called.
BILLING, PLANNER = "agents/billing-agent", "agents/planner"
RESEARCHER, FRONTEND = "agents/researcher", "web/frontend"
BILLING_POD = Pod("agents", "billing-agent", {"agentidentity.dev/identity": "billing-agent"})
ORDERS_POD = Pod("shop", "orders", {"app": "orders"})
APPLY_IDENTITIES = "kubectl apply -f examples/quickstart/3-identities.yaml"
APPLY_GRANT = "kubectl apply -f examples/quickstart/4-grant.yaml"
ADD_TASK, READ_ORDER = "POST /v1/tasks", "GET /v1/orders/7"
NOTHING = "No resources found in agents namespace."
_KINDS = "serviceaccount,rolebinding,peerauthentication,authorizationpolicy"


def owned_by(identity: str) -> str:
    """The command that lists what an identity has in the cluster."""
    return f"kubectl get {_KINDS} \\\n    -n agents -l agentidentity.dev/identity={identity}"


def role_of(identity: str) -> str:
    """The command that reads an identity's Vault role."""
    return f"bao read auth/kubernetes/role/demo_agents_{identity}"


def condition_of(which: str, condition: str) -> str:
    """The command that says why a condition is as it is; which: kind, name and namespace."""
    found = f'{{range .status.conditions[?(@.type=="{condition}")]}}'
    text = f'{found}{{.reason}}: {{.message}}{{"\\n"}}{{end}}'
    return f"kubectl get {which} \\\n    -o jsonpath='{text}'"

"""Chapters 1 and 2: three manifests, and what one agent gets for them."""

from demo.names import (
    APPLY_IDENTITIES,
    POLICY,
    ROLE,
    SECRET,
    SECRET_VALUE,
    owned_by,
    role_of,
)
from demo.screen import Screen
from demo.shell import Shell

MADE = (
    "serviceaccount/billing-agent ",
    "/agentidentity:billing-agent:ticket-reader ",
    "peerauthentication.security.istio.io/agentidentity-billing-agent ",
    "authorizationpolicy.security.istio.io/agentidentity-billing-agent ",
)
PLANNER = "cluster.local/ns/agents/sa/planner"
VAULT_POLICY = "agentid_demo_default_own-secrets"


def apply_quickstart(shell: Shell, screen: Screen) -> None:
    shell.run("kubectl apply -f examples/quickstart/1-platform.yaml")
    screen.say("The class of the quickstart names a Vault of somewhere else. For this one, its")
    screen.say("address is replaced and its CA added, and that is all:")
    shell.run('diff examples/quickstart/2-class.yaml "$DEMO/2-class.yaml"', fails=True)
    shell.run('kubectl apply -f "$DEMO/2-class.yaml"')
    shell.run(APPLY_IDENTITIES)
    shell.run("kubectl wait --for=condition=Ready agentidentity --all -n agents --timeout=60s")
    shown = shell.run("kubectl get agentidentities -A")
    ready = [line.split()[1] for line in shown.splitlines() if line.split()[2] == "True"]
    shell.expect("both agents are Ready", holds=ready == ["billing-agent", "planner"])
    screen.say("Whoever keeps the secrets puts one where only billing-agent may read:")
    shell.run(f"bao kv put -mount=kv {SECRET} value={SECRET_VALUE}")


def show_what_was_made(shell: Shell, screen: Screen) -> None:
    made = shell.run(owned_by("billing-agent"))
    shell.expect(
        "an account, a binding, STRICT mTLS and a policy stand",
        holds=all(name in made for name in MADE) and "STRICT" in made,
    )
    _show_callers(shell, screen)
    _show_rights(shell)
    _show_vault(shell, screen)


def _show_callers(shell: Shell, screen: Screen) -> None:
    screen.say("Who may call it, as the mesh reads it:")
    policy = shell.run(f"kubectl get {POLICY} -o yaml | sed -n '/^spec:/,$p'")
    principals = [line.strip(" -") for line in policy.splitlines() if "cluster.local/" in line]
    shell.expect("only planner may call billing-agent", holds=principals == [PLANNER])


def _show_rights(shell: Shell) -> None:
    asked = "kubectl auth can-i list configmaps -n agents --as=system:serviceaccount:agents"
    yes = shell.run(f"{asked}:billing-agent")
    no = shell.run(f"{asked}:planner", fails=True)
    shell.expect(
        "billing-agent has its ClusterRole; planner did not ask and has not",
        holds=(yes.strip(), no.strip()) == ("yes", "no"),
    )


def _show_vault(shell: Shell, screen: Screen) -> None:
    screen.say("Its role in OpenBao, which its status names, and the policy that the role gives:")
    status = "kubectl get agentidentity billing-agent -n agents -o jsonpath='{.status.vaultRole}'"
    shell.expect("its status names its role", holds=shell.run(status) == ROLE)
    role = shell.run(role_of("billing-agent"))
    bound = {line.split()[0]: line.split()[-1] for line in role.splitlines() if line.split()}
    shell.expect(
        "the role is for this one account, in this one namespace",
        holds=bound.get("bound_service_account_names") == "[billing-agent]"
        and bound.get("bound_service_account_namespaces") == "[agents]"
        and bound.get("token_policies") == f"[{VAULT_POLICY}]",
    )
    policy = shell.run(f"bao policy read {VAULT_POLICY} | .venv/bin/python -m json.tool")
    shell.expect(
        "one policy serves every agent: OpenBao fills in who has logged in",
        holds="billing-agent" not in policy and ".metadata.service_account_name}}" in policy,
    )

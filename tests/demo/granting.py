"""Chapter 4: a service that is no agent; its owner grants, and the agent itself asks."""

from demo.names import (
    APPLY_GRANT,
    APPLY_IDENTITIES,
    BILLING,
    FRONTEND,
    ORDERS_POD,
    PLANNER,
    READ_ORDER,
    condition_of,
)
from demo.screen import Screen
from demo.shell import Shell
from demo.stage import Stage
from demo.verdicts import DENIED, LET_IN, expect_calls

GRANT = "agentaccessgrant orders -n shop"
OUTBOUND = condition_of("agentidentity billing-agent -n agents", "OutboundReady")
CALLERS = (
    f"kubectl get {GRANT} \\\n    -o jsonpath='"
    '{range .status.callers[*]}{.kind} {.namespace}/{.name}: {.rules}{"\\n"}{end}\''
)
LET_IN_NOW = [f'AgentIdentity {BILLING}: ["read"]', f'ServiceAccount {FRONTEND}: ["read"]']
ASK_NO_MORE = """\
kubectl patch agentidentity billing-agent -n agents --type=json \\
    -p '[{"op": "remove", "path": "/spec/outbound"}]'"""
STATUS_SECONDS = 30


def grant_and_ask(shell: Shell, screen: Screen, stage: Stage) -> None:
    shell.run("kubectl apply -f tests/demo/shop.yaml")
    screen.say("A pod of orders starts, with a sidecar too. No policy guards it:")
    stage.run(ORDERS_POD)
    shell.run("kubectl get authorizationpolicies -n shop")
    everybody = dict.fromkeys((BILLING, PLANNER, FRONTEND, "plaintext"), LET_IN)
    expect_calls(shell, "everybody may call orders", READ_ORDER, everybody, of=ORDERS_POD)
    told = shell.run(OUTBOUND)
    shell.expect("billing-agent asks, and nobody has granted it", holds="NotGranted" in told)
    _grant(shell, screen)
    _show_what_is_told(shell)
    _ask_no_more(shell, screen)


def _grant(shell: Shell, screen: Screen) -> None:
    screen.say("The shop's team says who may read orders, and who may write them:")
    shell.run("sed -n '/^  rules:/,$p' examples/quickstart/4-grant.yaml")
    shell.run(APPLY_GRANT)
    shell.run(f"kubectl wait --for=condition=Ready {GRANT} --timeout=60s")
    callers = {BILLING: LET_IN, FRONTEND: LET_IN, PLANNER: DENIED, "plaintext": DENIED}
    named = "billing-agent and frontend may read orders, and nobody else"
    expect_calls(shell, named, READ_ORDER, callers, of=ORDERS_POD)
    unasked = "billing-agent may not write them: that is granted, and it does not ask for it"
    expect_calls(shell, unasked, "POST /v1/orders", {BILLING: DENIED}, of=ORDERS_POD)


def _show_what_is_told(shell: Shell) -> None:
    shell.run_until(CALLERS, lambda r: r.text.splitlines() == LET_IN_NOW, timeout=STATUS_SECONDS)
    shell.expect("the shop's team sees who is let in, and by which rules", holds=True)
    shell.run_until(OUTBOUND, lambda r: "InPlace" in r.text, timeout=STATUS_SECONDS)
    shell.expect("the agents' team sees that it has what it asks for", holds=True)


def _ask_no_more(shell: Shell, screen: Screen) -> None:
    screen.say("The agents' team takes its entry back; the grant stays as it is:")
    shell.run(ASK_NO_MORE)
    callers = {BILLING: DENIED, FRONTEND: LET_IN}
    without = "without its own entry billing-agent has nothing"
    expect_calls(shell, without, READ_ORDER, callers, of=ORDERS_POD)
    shell.run(APPLY_IDENTITIES)
    expect_calls(shell, "with it, it has it again", READ_ORDER, {BILLING: LET_IN}, of=ORDERS_POD)

"""Chapter 3: real calls to an agent, over mTLS, let in and refused."""

from demo.names import ADD_TASK, BILLING_POD, PLANNER, RESEARCHER
from demo.screen import Screen
from demo.shell import Shell
from demo.stage import Stage
from demo.verdicts import CUT_OFF, DENIED, LET_IN, expect_calls

MAKE_RESEARCHER = """\
kubectl apply -f - <<END
apiVersion: agentidentity.dev/v1alpha1
kind: AgentIdentity
metadata: {name: researcher, namespace: agents}
spec: {}
END"""
PODS = """\
kubectl get pods -A -o custom-columns=\\
NAMESPACE:.metadata.namespace,NAME:.metadata.name,ACCOUNT:.spec.serviceAccountName,IP:.status.podIP"""


def call_the_agent(shell: Shell, screen: Screen, stage: Stage) -> None:
    screen.say(
        "A pod of billing-agent starts: Istio's sidecar agent and Envoy, as a node would run"
    )
    screen.say("them for it, in front of a server that answers whatever gets there.")
    stage.run(BILLING_POD)
    shell.run(PODS)
    screen.say("Another agent comes, which asks for nothing:")
    shell.run(MAKE_RESEARCHER)
    shell.run("kubectl wait --for=condition=Ready agentidentity researcher -n agents --timeout=60s")
    _see_who_is_let_in(shell, screen)


def _see_who_is_let_in(shell: Shell, screen: Screen) -> None:
    screen.say(
        "`call` sends one request for each caller, with a certificate that istiod's CA issues"
    )
    screen.say(
        "for a token of that ServiceAccount. denied: the sidecar refused the request. cut off:"
    )
    screen.say("it refused the connection.")
    others = {RESEARCHER: DENIED, "no-certificate": CUT_OFF, "plaintext": CUT_OFF}
    callers = {PLANNER: LET_IN, **others}
    table = expect_calls(shell, "planner is let in, alone", ADD_TASK, callers, of=BILLING_POD)
    shell.expect(
        "whoever is let in is known by its certificate",
        holds="spiffe://cluster.local/ns/agents/sa/planner" in table,
    )
    read = "GET /v1/tasks"
    expect_calls(shell, "and only to POST tasks", read, {PLANNER: DENIED}, of=BILLING_POD)

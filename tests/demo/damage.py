"""Chapter 6: what others change behind the operator's back is put back, and told."""

from demo.names import ADD_TASK, BILLING_POD, PLANNER, POLICY, RESEARCHER, role_of
from demo.screen import Screen
from demo.shell import Result, Shell
from demo.stage import RESYNC_SECONDS
from demo.verdicts import DENIED, LET_IN, expect_calls

SPEC = f"kubectl get {POLICY} -o jsonpath='{{.metadata.generation}} {{.spec}}'"
EVERYBODY = """'{"spec":{"rules":[{}]}}'"""
MINUTE = 60


def do_damage(shell: Shell, screen: Screen) -> None:
    before = shell.run(SPEC)
    shell.run(f"kubectl patch {POLICY} --type=merge -p {EVERYBODY}")
    shell.run("bao delete auth/kubernetes/role/demo_agents_billing-agent")
    screen.say("The policy is watched, so it is back at once. Its generation, in front, tells that")
    screen.say("it was changed and changed back:")
    _expect_policy_back(shell, before)
    screen.say(f"The role is back when OpenBao is looked at next, within about {RESYNC_SECONDS} s:")
    shell.run_until(role_of("billing-agent"), lambda r: r.ok, timeout=MINUTE)
    shell.expect("the Vault role is back", holds=True)
    events = "kubectl get events -n agents"
    shell.run_until(events, lambda r: _both_told(r.text), timeout=MINUTE)
    shell.expect("events tell of both", holds=True)


def _expect_policy_back(shell: Shell, before: str) -> None:
    generation, _, spec = before.partition(" ")

    def mended(result: Result) -> bool:
        later, _, now = result.text.partition(" ")
        return now == spec and int(later) >= int(generation) + 2

    shell.run_until(SPEC, mended, timeout=MINUTE)
    shell.expect("the policy is as it was", holds=True)
    callers = {PLANNER: LET_IN, RESEARCHER: DENIED}
    expect_calls(shell, "and so is who may call", ADD_TASK, callers, of=BILLING_POD)


def _both_told(events: str) -> bool:
    policy = "AuthorizationPolicy agentidentity-billing-agent was changed: put back"
    return policy in events and "VaultRole demo_agents_billing-agent was gone: put back" in events

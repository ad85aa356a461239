"""Chapters 7, 9 and 10: an agent that gets nothing, one that keeps nothing, a grant that goes."""

from demo.names import (
    ADD_TASK,
    BILLING,
    BILLING_POD,
    FRONTEND,
    NOTHING,
    ORDERS_POD,
    PLANNER,
    READ_ORDER,
    READ_SECRET,
    SECRET_VALUE,
    condition_of,
    owned_by,
    role_of,
)
from demo.screen import Screen
from demo.shell import Shell
from demo.stage import Stage
from demo.verdicts import DENIED, LET_IN, expect_calls

NO_VALUE = "No value found"
REPORTER = "agentidentity reporter -n agents"


def make_mistake(shell: Shell, screen: Screen) -> None:
    shell.run("cat examples/mistakes/not-in-class.yaml")
    shell.run("kubectl apply -f examples/mistakes/not-in-class.yaml")
    shell.run(f"kubectl wait --for=condition=Stalled {REPORTER} --timeout=60s")
    told = shell.run(condition_of(REPORTER, "Ready"))
    shell.expect(
        "the status says what is wrong and what there is to ask for",
        holds="NotInClass" in told and "root-of-everything" in told and "own-secrets" in told,
    )
    _expect_nothing(shell, "reporter")


def delete_agent(shell: Shell, screen: Screen, stage: Stage) -> None:
    screen.say("Its OpenBao token is good for a quarter of an hour, its certificate for an hour:")
    secret = shell.run(f"BAO_TOKEN=$BILLING_TOKEN {READ_SECRET}")
    shell.expect("until now, the token reads", holds=secret.strip() == SECRET_VALUE)
    expect_calls(shell, "and the certificate calls", READ_ORDER, {BILLING: LET_IN}, of=ORDERS_POD)
    shell.run("kubectl delete agentidentity billing-agent -n agents --timeout=60s")
    callers = {BILLING: DENIED, FRONTEND: LET_IN}
    expect_calls(shell, "orders is shut to it at once", READ_ORDER, callers, of=ORDERS_POD)
    refused = shell.run(f"BAO_TOKEN=$BILLING_TOKEN {READ_SECRET}", fails=True)
    shell.expect("the token that it had is dead", holds="Code: 403" in refused)
    _end_its_pod(shell, screen, stage)
    left = shell.run("kubectl get agentidentities -n agents")
    planner = [line.split() for line in left.splitlines() if line.startswith("planner ")]
    shell.expect("planner goes on", holds=[row[1] for row in planner] == ["True"])


def _end_its_pod(shell: Shell, screen: Screen, stage: Stage) -> None:
    screen.say("Its pod runs on. Until that ends too, a policy stays that lets nobody in:")
    shell.run(owned_by("billing-agent"))
    expect_calls(shell, "planner is refused", ADD_TASK, {PLANNER: DENIED}, of=BILLING_POD)
    screen.say("The pod ends.")
    stage.remove(BILLING_POD)
    _expect_nothing(shell, "billing-agent")


def delete_grant(shell: Shell, screen: Screen) -> None:
    shell.run("kubectl delete agentaccessgrant orders -n shop --timeout=60s")
    screen.say(
        "Nobody is granted anything now. That opens nothing: a policy stays that lets nobody"
    )
    screen.say("in, unless the grant says `onDelete: Open`.")
    shell.run("kubectl get authorizationpolicies -n shop")
    shut = dict.fromkeys((FRONTEND, PLANNER, "plaintext"), DENIED)
    expect_calls(shell, "orders stays shut", READ_ORDER, shut, of=ORDERS_POD)


def _expect_nothing(shell: Shell, identity: str) -> None:
    shell.run_until(owned_by(identity), lambda r: r.text.strip() == NOTHING, timeout=60)
    role = shell.run(role_of(identity), fails=True)
    shell.expect(
        f"{identity} has nothing: no account, no binding, no policy, no role",
        holds=NO_VALUE in role,
    )

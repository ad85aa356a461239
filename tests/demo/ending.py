"""Chapters 5 and 6: an agent that gets nothing, and one that keeps nothing."""

from demo.names import NOTHING, READ_SECRET, SECRET_VALUE, owned_by, role_of
from demo.screen import Screen
from demo.shell import Shell

NO_VALUE = "No value found"


def make_mistake(shell: Shell, screen: Screen) -> None:
    shell.run("cat examples/mistakes/not-in-class.yaml")
    shell.run("kubectl apply -f examples/mistakes/not-in-class.yaml")
    shell.run("kubectl wait --for=condition=Stalled agentidentity reporter -n agents --timeout=60s")
    ready = '{.status.conditions[?(@.type=="Ready")]'
    told = shell.run(
        f"kubectl get agentidentity reporter -n agents \\\n"
        f'    -o jsonpath=\'{ready}.reason}}{{"\\n"}}{ready}.message}}{{"\\n"}}\''
    )
    shell.expect(
        "the status says what is wrong and what there is to ask for",
        holds="NotInClass" in told and "root-of-everything" in told and "own-secrets" in told,
    )
    _expect_nothing(shell, "reporter")


def delete_agent(shell: Shell, screen: Screen) -> None:
    screen.say("The OpenBao token of chapter 3 is still good for a quarter of an hour:")
    secret = shell.run(f"BAO_TOKEN=$BILLING_TOKEN {READ_SECRET}")
    shell.expect("until now, the token reads", holds=secret.strip() == SECRET_VALUE)
    shell.run("kubectl delete agentidentity billing-agent -n agents --timeout=60s")
    _expect_nothing(shell, "billing-agent")
    refused = shell.run(f"BAO_TOKEN=$BILLING_TOKEN {READ_SECRET}", fails=True)
    shell.expect("the token that it had is dead", holds="Code: 403" in refused)
    left = shell.run("kubectl get agentidentities -n agents")
    planner = [line.split() for line in left.splitlines() if line.startswith("planner ")]
    shell.expect("planner goes on", holds=[row[1] for row in planner] == ["True"])


def _expect_nothing(shell: Shell, identity: str) -> None:
    objects = shell.run(owned_by(identity))
    role = shell.run(role_of(identity), fails=True)
    shell.expect(
        f"{identity} has nothing: no account, no binding, no policy, no role",
        holds=objects.strip() == NOTHING and NO_VALUE in role,
    )

"""Chapter 5: ServiceAccount tokens become OpenBao tokens, or don't."""

from demo.names import LOGIN, READ_SECRET, ROLE, SECRET_VALUE
from demo.screen import Screen
from demo.shell import Shell

FORBIDDEN = "Code: 403"


def use_tokens(shell: Shell, screen: Screen) -> None:
    _as_billing_agent(shell, screen)
    _as_planner(shell, screen)
    _with_wrong_audience(shell, screen)


def account_token(account: str, audience: str = "vault") -> str:
    return f"kubectl create token {account} -n agents --audience={audience} --duration=10m"


def _as_billing_agent(shell: Shell, screen: Screen) -> None:
    screen.say("The token of billing-agent's ServiceAccount, as its pod would have it, logs in:")
    shell.keep("BILLING_JWT", account_token("billing-agent"))
    shell.keep("BILLING_TOKEN", f'{LOGIN} role={ROLE} jwt="$BILLING_JWT"')
    secret = shell.run(f"BAO_TOKEN=$BILLING_TOKEN {READ_SECRET}")
    shell.expect("billing-agent reads its secret", holds=secret.strip() == SECRET_VALUE)


def _as_planner(shell: Shell, screen: Screen) -> None:
    screen.say("planner tries billing-agent's role, and billing-agent's path with its own role:")
    shell.keep("PLANNER_JWT", account_token("planner"))
    login = shell.run(f'{LOGIN} role={ROLE} jwt="$PLANNER_JWT"', fails=True)
    shell.expect("planner can't log in as billing-agent", holds=FORBIDDEN in login)
    shell.keep("PLANNER_TOKEN", f'{LOGIN} role=demo_agents_planner jwt="$PLANNER_JWT"')
    read = shell.run(f"BAO_TOKEN=$PLANNER_TOKEN {READ_SECRET}", fails=True)
    shell.expect("planner can't read billing-agent's secret", holds=FORBIDDEN in read)


def _with_wrong_audience(shell: Shell, screen: Screen) -> None:
    screen.say("A token of billing-agent that was made for somebody else:")
    shell.keep("OTHER_JWT", account_token("billing-agent", "somebody-else"))
    login = shell.run(f'{LOGIN} role={ROLE} jwt="$OTHER_JWT"', fails=True)
    shell.expect("a token for another audience is refused", holds=FORBIDDEN in login)

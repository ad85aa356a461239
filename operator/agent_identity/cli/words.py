"""An explanation as a text for people. Pure."""

from collections.abc import Iterable, Iterator

from agent_identity.cli.documents import plain
from agent_identity.cli.explain import Explanation


def in_words(told: Explanation) -> str:
    """Sections without anything to say are left out, but for those whose silence says something."""
    return "\n".join(part for part in _parts(told) if part)


def _parts(told: Explanation) -> Iterator[str]:
    yield _head(told)
    has = _table((t.what, t.state, t.why) for t in told.things)
    yield _section("What it has", has or "  Nothing.\n")
    yield _section("What that lets it do in Vault", _lines(told.rights))
    yield _section(
        "What is missing or to be known",
        _lines(f"{t.condition} ({t.reason}): {t.message}" for t in told.troubles),
    )
    yield _section("Who may call it", _callers(told))
    yield _section("What it asks to call", _asked(told))
    yield _section("Pods with its label", _pods(told))
    yield _section("Of others, but about it", _lines(told.foreign))
    yield _section("What could not be seen", _lines(told.unread))
    yield _section("What to do next", _lines(told.next) or "  Nothing.\n")


def _head(told: Explanation) -> str:
    rows = [
        ("SPIFFE ID", told.spiffe_id),
        ("Account", f"ServiceAccount {told.account}"),
        ("Class", told.agent_class),
        ("Allowed", told.verdict),
        ("Ready", told.ready),
        *([("But", told.operator)] if told.operator else []),
    ]
    return f"AgentIdentity {told.identity}\n" + "".join(f"  {n:<11}{t}\n" for n, t in rows)


def _section(title: str, text: str) -> str:
    return f"{title}\n{text}" if text else ""


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"  {plain(line)}\n" for line in lines)


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    """why: of its own line, if there is any."""
    listed = list(rows)
    wide = max((len(what) for what, _, _ in listed), default=0)
    return "".join(
        f"  {what:<{wide}}  {state}\n" + (f"{'':<{wide + 4}}{why}\n" if why else "")
        for what, state, why in listed
    )


def _callers(told: Explanation) -> str:
    lines = [
        f"{c.who}{f' ({c.state})' if c.state else ''}: {'; '.join(c.calls)} [{c.rule}]"
        for c in told.callers
    ]
    rest = told.others if lines else told.others.replace("Nobody else", "Nobody")
    return _lines([*lines, rest])


def _asked(told: Explanation) -> str:
    return _table(
        (f"{a.grant} rule {a.rule}", a.state, plain(f"{a.calls}, of {a.where}") if a.calls else "")
        for a in told.outbound
    )


def _pods(told: Explanation) -> str:
    if told.pods is None:
        return "  Not allowed to look.\n"
    return _lines(told.pods) or "  None.\n"

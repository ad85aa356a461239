"""The chart as it is written: its values, its schema, and what it says of metrics and settings.

What Helm and the API server make of it is shown in tests/cluster/test_chart.py.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import chart_docs
from agent_identity import settings, telemetry
from agent_identity.api.conditions import ConditionType, Reason
from agent_identity.core import errors

CHART = chart_docs.CHART
VALUES_TEXT = (CHART / "values.yaml").read_text()
VALUES = yaml.safe_load(VALUES_TEXT)
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEPLOYMENT = (CHART / "templates" / "deployment.yaml").read_text()
ALERTS = (CHART / "templates" / "monitoring.yaml").read_text()
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())
README = (CHART / "README.md").read_text()
# What the Deployment leaves to the settings' defaults: it mounts the files where these say.
MOUNTED = {"KUBE_TOKEN_FILE", "KUBE_CA_FILE", "VAULT_TOKEN_FILE"}
# What a pod is told of itself.
OF_THE_POD = {"NAMESPACE", "INSTANCE"}
METRIC = re.compile(r"agent_identity_[a-z_]+")


class Recorder(settings._Reader):  # noqa: SLF001  the only place that knows every setting
    """Notes what each setting must be, and gives its default."""

    seen: dict[str, Any]

    def text(self, name: str, default: str | None = None, pattern: str = r".+") -> str:
        self.seen[name] = (default, pattern)
        return default or "https://x"

    def number(self, name: str, default: float, minimum: float) -> float:
        self.seen[name] = (default, minimum)
        return default


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Setting → (default, pattern or minimum)."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(Recorder, "seen", seen, raising=False)
    monkeypatch.setattr(settings, "_Reader", Recorder)
    settings.read_settings({})
    return seen


def value_of(setting: str) -> str:
    """CLUSTER_NAME → clusterName: one thing has one name."""
    first, *rest = setting.lower().split("_")
    return first + "".join(word.title() for word in rest)


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref", "").rpartition("/")[2]
    found: Mapping[str, Any] = SCHEMA["definitions"][reference] if reference else schema
    return found


def nested(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, resolved(schema)
    for name, inner in resolved(schema).get("properties", {}).items():
        yield from nested(inner, f"{path}.{name}".lstrip("."))


# --- settings


def test_every_setting_is_in_the_deployment(asked: dict[str, Any]) -> None:
    found = set(re.findall(r"AGENT_IDENTITY_(\w+)", DEPLOYMENT))
    assert found == set(asked) - MOUNTED


def test_what_the_deployment_mounts_is_where_the_settings_look(asked: dict[str, Any]) -> None:
    mounts = re.findall(r"mountPath: (\S+)", DEPLOYMENT)
    for name in MOUNTED:
        assert str(Path(asked[name][0]).parent) in mounts


def test_the_schema_asks_for_what_the_settings_ask_for(asked: dict[str, Any]) -> None:
    for name, (_, limit) in asked.items():
        if name in MOUNTED | OF_THE_POD:
            continue
        schema = resolved(SCHEMA["properties"][value_of(name)])
        if not isinstance(limit, str):
            assert schema["minimum"] == limit, name
        elif schema.get("type") == "boolean":
            assert limit == "true|false", name
        elif "enum" in schema:
            assert schema["enum"] == limit.split("|"), name
        elif name == "HTTP_HOST":
            assert limit == ".+"  # the schema knows that it is an address
        elif name == "KUBE_SERVER":
            assert schema["pattern"] == f"^({limit})?$"  # empty: the one that a pod is told
        else:
            assert schema["pattern"].strip("^$") == limit.strip("^$"), name


def test_a_value_is_by_default_what_the_setting_is(asked: dict[str, Any]) -> None:
    for name, (default, _) in asked.items():
        required = default is None
        if required or name in MOUNTED | OF_THE_POD:
            continue
        value = VALUES[value_of(name)]
        assert (str(value).lower() if value is True else value) == default, name


# --- values


def test_every_value_has_a_comment() -> None:
    assert [v.path for v in chart_docs.values(VALUES_TEXT) if not v.comment] == []


def test_a_value_without_a_comment_is_found() -> None:
    text = "# told\na: 1\nb: 2\nc:\n  # told\n  d: 3\n  e: 4\n# told as a whole\nf: {g: 5}\n"
    untold = [v.path for v in chart_docs.values(text) if not v.comment]
    assert untold == ["b", "c.e"]
    assert "f" in [v.path for v in chart_docs.values(text)]


def test_the_readme_shows_the_values_as_they_are() -> None:
    assert chart_docs.with_table(README, VALUES_TEXT) == README


def test_the_schema_knows_every_value_and_no_other() -> None:
    paths = {path for path, _ in nested(SCHEMA)} - {"", "global"}
    leaves = {v.path for v in chart_docs.values(VALUES_TEXT)}
    parents = {path[: dot.start()] for path in leaves for dot in re.finditer(r"\.", path)}
    of_kubernetes = ("resources", "affinity", "admission.agentPods.namespaceSelector")
    assert leaves <= paths
    for path in paths - leaves - parents:
        assert path.startswith(of_kubernetes), path


def test_the_schema_lets_nothing_pass_that_it_does_not_know() -> None:
    for path, schema in nested(SCHEMA):
        if "properties" in schema:
            assert schema["additionalProperties"] is False, path


# --- metrics


def exported() -> set[str]:
    """Names of the series that the operator can have."""
    ours = {m for m in vars(telemetry).values() if hasattr(m, "describe")}
    names = {
        name
        for collector, of_it in REGISTRY._collector_to_names.items()  # noqa: SLF001
        if collector in ours
        for name in of_it
    }
    return {name for name in names if not name.endswith("_created")}


def queries() -> list[str]:
    return [t["expr"] for panel in DASHBOARD["panels"] for t in panel["targets"]]


def test_alerts_and_dashboard_name_metrics_that_there_are() -> None:
    assert exported() >= {"agent_identity_leader", "agent_identity_reconciles_total"}
    for text in (ALERTS, *queries(), json.dumps(DASHBOARD["templating"])):
        named = set(METRIC.findall(text))
        assert named
        assert named <= exported()


def test_alerts_name_labels_and_values_that_there_are() -> None:
    failed = {
        Reason.UNREACHABLE,
        Reason.SEALED,
        Reason.FORBIDDEN,
        Reason.LOGIN_REFUSED,
        Reason.REJECTED,
        Reason.THROTTLED,
        Reason.BUSY,
    }
    [reasons] = re.findall(r'reason=~"([^"]+)"', ALERTS)
    assert set(reasons.split("|")) == failed
    assert set(re.findall(r'condition="(\w+)"', ALERTS)) == {ConditionType.READY}
    assert errors.Failed.__name__.lower() == "failed"
    [results] = re.findall(r'result!~"([^"]+)"', ALERTS)
    assert results == "failed|bug"
    said = {"kind", "condition", "status", "reason"}
    assert set(telemetry.CONDITIONS._labelnames) == said  # noqa: SLF001
    assert set(telemetry.RECONCILES._labelnames) == {"kind", "result"}  # noqa: SLF001
    assert set(telemetry.REPAIRED._labelnames) == {"kind"}  # noqa: SLF001


def test_every_alert_is_explained_where_its_runbook_points() -> None:
    alerts = re.findall(r"alert: (\w+)", ALERTS)
    anchors = re.findall(r"runbook_url: .*#(\w+)", ALERTS)
    headings = re.findall(r"^### (\w+)$", README, re.MULTILINE)
    assert len(alerts) >= 6
    assert alerts == headings
    assert anchors == [name.lower() for name in alerts]
    assert VALUES["metrics"]["prometheusRule"]["runbookURL"].endswith(
        "charts/agent-identity/README.md"
    )


def test_panels_do_not_cover_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells

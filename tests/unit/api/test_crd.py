"""What `kubectl` shows of our kinds, and what the API server says of a change that it refuses."""

import json
from typing import Any

import pytest

from agent_identity.api.crd import custom_resource_definitions

KINDS = {crd["spec"]["names"]["kind"]: crd for crd in custom_resource_definitions().values()}


def columns(crd: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (version,) = crd["spec"]["versions"]
    return {column["name"]: column for column in version["additionalPrinterColumns"]}


@pytest.mark.parametrize("crd", KINDS.values(), ids=KINDS)
def test_every_kind_tells_why_in_words_where_it_is_asked_for_all(crd: dict[str, Any]) -> None:
    message = columns(crd)["Message"]
    assert message["jsonPath"] == '.status.conditions[?(@.type=="Ready")].message'
    assert message["priority"] == 1


@pytest.mark.parametrize("field", ["address", "Vault namespace", "mount"])
def test_where_roles_live_is_changed_by_a_new_class_and_the_refusal_says_so(field: str) -> None:
    told = f"the {field} can't be changed: roles live there; delete the class and apply it again"
    assert told in json.dumps(KINDS["AgentIdentityClass"])

"""Whatever an input holds, the answer is a message with a place, and exit code 2 where it ends."""

import errno
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sets import Program, agent_class, full, identity, whole

from agent_identity.cli.check import check
from agent_identity.cli.documents import KINDS, Unreadable, read_documents
from agent_identity.cli.manifests import manifests
from agent_identity.cli.render import render
from samples import CLUSTER

HEAD = "apiVersion: agentidentity.dev/v1alpha1\nkind: AgentIdentity\n"
MULTIPLYING = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{of}'] * 10)}]\n"
    for of, name in zip("abcde", "bcdef", strict=True)
)
CHAIN = "a0: &a0 [1]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(500))
LISTS = "a: &a {kind: AList, items: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}\n" + "".join(
    f"{name}: &{name} {{kind: BList, items: [{', '.join([f'*{of}'] * 10)}]}}\n"
    for of, name in zip("abcde", "bcdef", strict=True)
)
UNREADABLE = {
    "bad syntax": ("a: [1,\nb: {", "x.yaml:3: no YAML"),
    "a template": (f"{HEAD}metadata: {{{{ .Values.x }}}}\n", "x.yaml"),
    "a field twice": (
        f"{HEAD}metadata:\n  name: a\n  name: b\n",
        "x.yaml:5: name is there twice, first in line 4",
    ),
    "a field of a list's item twice": (f"{HEAD}spec:\n- {{a: 1, a: 2}}\n", "x.yaml:4: a is there"),
    "nested without end": ("[" * 200_000, "x.yaml:1: no YAML: nested deeper than 100"),
    "nested on one line": ("- " * 200_000, "x.yaml:1: no YAML: nested deeper than 100"),
    "an unknown tag": (f"{HEAD}spec: !python/object:os.system {{}}\n", "x.yaml:3: no YAML"),
    "an anchor that holds itself": (f"{HEAD}spec: &a\n  x: *a\n", "anchors multiply"),
    "anchors that multiply": (HEAD + MULTIPLYING, "anchors multiply"),
    "what JSON does not know": (f"{HEAD}spec: !!set {{a}}\n", "no Kubernetes object"),
    "no number": (f"{HEAD}spec: {{x: .nan}}\n", "no Kubernetes object"),
    "lists that multiply": (f"{LISTS}kind: List\nitems: [*f]\n", "x.yaml:1: its anchors multiply"),
    "a list that holds itself": ("&a {kind: List, items: [*a]}", "x.yaml:1: its anchors multiply"),
    "anchors in a chain": (HEAD + CHAIN, "x.yaml:1: its anchors nest deeper than 100"),
    "no truth": (f"{HEAD}spec: !!bool maybe\n", "x.yaml:1: no Kubernetes object: a value is not"),
    "no time": (f"{HEAD}spec: !!timestamp abc\n", "a value is not what its tag says"),
    "no whole number": (f"{HEAD}spec: !!int ''\n", "a value is not what its tag says"),
    "no fraction": (f"{HEAD}spec: !!float ''\n", "a value is not what its tag says"),
    "a zero byte": ("a: \0", "x.yaml: no YAML"),
}


@pytest.mark.parametrize(("text", "told"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_told(text: str, told: str) -> None:
    with pytest.raises(Unreadable) as trouble:
        read_documents(text, "x.yaml")
    assert told in str(trouble.value)


def test_lists_are_taken_apart_and_others_are_counted() -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [*whole(), {"kind": "Service"}]}
    other = {"apiVersion": "v1", "kind": "Secret", "data": {"a": "b"}}
    text = yaml.safe_dump_all([listed, other]) + "---\n# nothing\n---\n"
    found = read_documents(text, "x")
    assert [d.kind for d in found.items] == [
        *("AgentIdentityClass", "Namespace", "AgentIdentity", "AgentIdentity"),
    ]
    assert found.ignored == 2


def test_a_large_list_without_anchors_is_no_trouble() -> None:
    text = json.dumps({"kind": "List", "items": [{"kind": "Service", "x": [1] * 9}] * 20_000})
    assert read_documents(text, "x").ignored == 20_000


def test_a_field_twice_in_another_kind_is_nobodys_business() -> None:
    assert read_documents("kind: Service\nspec: {a: 1, a: 2}\nx: 1\nx: 2\n", "x").ignored == 1


HIDDEN = {
    "a merge key": (
        "<<: {apiVersion: agentidentity.dev/v1alpha1, kind: AgentIdentity}\n",
        "x:1: << may say what kind of object this is",
    ),
    "a kind twice": (
        f"apiVersion: v1\nkind: ConfigMap\n{HEAD}",
        "x:3: apiVersion is there twice, first in line 1",
    ),
    "a kind twice in JSON": (
        '{"kind": "ConfigMap", "apiVersion": "v1",\n"kind": "AgentIdentity"}',
        "x:2: kind is there twice",
    ),
    "a kind twice in a list": (
        "kind: List\nitems:\n- kind: ConfigMap\n  kind: AgentIdentity\n",
        "x:4: kind is there twice",
    ),
    "items twice": ("kind: List\nitems: []\nitems: [{kind: AgentIdentity}]\n", "x:3: items is"),
    "metadata twice": ("kind: X\nmetadata: {}\nmetadata: {}\n", "x:3: metadata is there twice"),
    "an encoded kind": (
        "apiVersion: v1\nkind: !!binary QWdlbnRJZGVudGl0eQ==\n",
        "x:2: kind is no plain text",
    ),
    "an encoded version": (
        "apiVersion: !!binary YWdlbnRpZGVudGl0eS5kZXYvdjFhbHBoYTE=\nkind: X\n",
        "x:1: apiVersion is no plain text",
    ),
    "an encoded field": (
        "apiVersion: v1\n!!binary a2luZA==: AgentIdentity\n",
        "x:2: a2luZA== may say what kind of object this is",
    ),
}


@pytest.mark.parametrize(("text", "told"), HIDDEN.values(), ids=HIDDEN)
def test_what_kubectl_would_take_for_ours_is_not_passed_over(text: str, told: str) -> None:
    with pytest.raises(Unreadable) as trouble:
        read_documents(text, "x")
    assert str(trouble.value).startswith(told)


def test_whatever_has_items_is_a_list_as_with_kubectl() -> None:
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "items": whole()})
    assert len(read_documents(text, "x").items) == len(whole())
    # Others would apply the object itself.
    text = yaml.safe_dump(full() | {"items": [agent_class()]})
    assert {d.kind for d in read_documents(text, "x").items} == set(KINDS[1:])


def test_items_that_name_no_kind_are_of_their_lists() -> None:
    (listed,) = read_documents(
        f"{HEAD.strip()}List\nitems: [{{metadata: {{name: a}}}}]\n", "x"
    ).items
    assert listed.body == yaml.safe_load(HEAD) | {"metadata": {"name": "a"}}


def test_what_is_merged_stands_first() -> None:
    """With kubectl it would override what stands above it."""
    with pytest.raises(Unreadable, match=r"^x:3: << must stand first"):
        read_documents(f"{HEAD}spec: {{a: 1, <<: {{a: 2}}}}\n", "x")
    (first,) = read_documents(f"{HEAD}spec: {{<<: {{a: 2, b: 3}}, a: 1}}\n", "x").items
    assert first.body["spec"] == {"a": 1, "b": 3}


def test_json_with_tabs_and_times_without_quotes() -> None:
    text = '{\n\t"apiVersion": "agentidentity.dev/v1alpha1",\n\t"kind": "AgentIdentity"\n}'
    assert read_documents(text, "x").items[0].kind == "AgentIdentity"
    halves = json.dumps({"kind": "AgentIdentity", "a": "\U0001f916 \\ud83e\\udd16"})
    assert read_documents(halves, "x").items[0].body["a"] == "\U0001f916 \\ud83e\\udd16"
    dated = read_documents(f"{HEAD}spec: {{a: 2026-01-01}}\n", "x").items[0]
    assert dated.body["spec"] == {"a": "2026-01-01"}


def test_a_place_is_the_line_of_the_key() -> None:
    text = f"{HEAD}spec:\n  inbound:\n    rules:\n    - name: a\n      ports: []\n"
    (document,) = read_documents(text, "x").items
    assert document.where(("spec", "inbound", "rules", 0, "ports")) == "x:7"
    assert document.where(("spec", "inbound", "rules", "a")) == "x:6"
    assert document.where(("spec", "inbound", "nothing", 3)) == "x:4"
    assert document.where() == "x:1"


def test_all_unreadable_files_are_told_at_once(program: Program, tmp_path: Path) -> None:
    bad, text = program.file("bad.yaml", "{"), tmp_path / "latin.yaml"
    text.write_bytes(b"a: \xe9")
    code, out, err = program("check", bad, str(text), str(tmp_path / "none.yaml"))
    assert (code, out) == (2, "")
    for told in ("bad.yaml:2: no YAML", "latin.yaml: is no UTF-8", "none.yaml: there is no such"):
        assert told in err


def test_folders_and_standard_input(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yml").write_text(yaml.safe_dump_all(whole()))
    (tmp_path / "deep" / "notes.txt").write_text("{")
    # The same file by two ways is there once.
    code, out, _ = program("check", str(tmp_path), str(tmp_path / "deep" / "a.yml"))
    assert code == 0, out
    text = yaml.safe_dump_all(whole()).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert program("check", "-")[0] == 0


def test_a_name_that_is_none_is_told(program: Program) -> None:
    code, out, err = program("check", "x" * 300)
    assert (code, out) == (2, "")
    assert err == f"{'x' * 300}: File name too long\n"


@pytest.mark.parametrize("call", ["stat", "scandir"])
def test_a_folder_that_may_not_be_looked_into_is_told(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """It may hold what is applied. For root, and so in many pipelines, there is no such folder."""
    program.file("a.yaml", whole())
    inner, real = tmp_path / "inner", getattr(os, call)
    inner.mkdir()
    (inner / "b.yaml").write_text("")

    def shut(path: str | Path, *args: Any, **kwargs: Any) -> Any:
        if str(path).startswith(str(inner if call == "scandir" else inner / "b.yaml")):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, call, shut)
    code, out, err = program("check", str(tmp_path))
    assert (code, out) == (2, "")
    assert str(inner) in err
    assert "Permission denied" in err


def test_nothing_of_ours_is_a_mistake(program: Program, tmp_path: Path) -> None:
    code, _, err = program("check", program.file("a.yaml", [{"kind": "Service"}]))
    assert code == 2
    assert "no AgentIdentity" in err
    (tmp_path / "empty").mkdir()
    assert program("check", str(tmp_path / "empty"))[0] == 2


def test_a_strangers_text_is_no_command_of_a_terminal_or_a_pipeline(program: Program) -> None:
    evil = "x\n::error::\x1b[31m"
    manifests = [
        identity(**{evil: 1}),
        identity() | {evil: 1},
        identity() | {"kind": evil},
        identity() | {"metadata": {"name": evil, "namespace": evil}},
    ]
    for manifest in manifests:
        out = program.check(manifest)[1]
        assert "\x1b" not in out
        assert "\n::" not in out
    flags = ("--cluster-name", "a", "--trust-domain", "b")
    err = program("render", program.file("a.yaml", manifests[:1]), *flags)[2]
    assert "\n::" not in err


def test_a_files_name_is_no_command_either(program: Program, tmp_path: Path) -> None:
    evil = str(tmp_path / "x\n::error::\x1b[31m.yaml")
    told = r"x\n::error::\x1b[31m.yaml"
    assert told in program("check", evil)[2]
    for text in (yaml.safe_dump(identity(wrong=1)), "{", "\xe9"):
        Path(evil).write_text(text, encoding="latin-1")
        for names in ([evil], [str(tmp_path)]):
            _, out, err = program("check", *names)
            assert told in out + err
            assert "\n::" not in out + err
            assert "\x1b" not in out + err
    assert r"--x\n::error::" in program("check", "a.yaml", "--x\n::error::")[2]


def test_a_files_name_begins_no_command(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program.file("::error::a.yaml", "{")
    assert program("check", ".")[2].startswith("./::error::a.yaml:2: no YAML")
    assert program("check", "##[error]")[2].startswith("./##[error]: there is no such file")


def test_a_files_name_that_is_no_text_is_told(program: Program, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xe9.yaml")
    path.write_text(yaml.safe_dump(identity(wrong=1)))
    for form in ("table", "yaml", "json"):
        code, out, _ = program("check", str(tmp_path), "--output", form)
        assert code == 1
        assert r"\udce9.yaml" in out.replace(r"\\", "\\")
        assert out.isascii()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "namespace", "labels", "rules", "inbound", "policies", "from"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.sampled_from(["AgentIdentity", "AgentIdentityClass", "Namespace"]), JSON, JSON)
def test_whatever_an_object_holds_it_is_checked(kind: str, metadata: Any, spec: Any) -> None:
    version = "v1" if kind == "Namespace" else "agentidentity.dev/v1alpha1"
    odd = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
    read = manifests(read_documents(json.dumps(odd), "x"), CLUSTER, namespace="default")
    whole_set = manifests(
        read_documents(yaml.safe_dump_all(whole()), "y"), CLUSTER, namespace="default"
    )
    for one, other in ((read, None), (read, whole_set), (whole_set, read)):
        check(one, other, strict=False)
    render(read, None)


def test_identities_without_a_namespace_are_of_the_default_one(program: Program) -> None:
    lonely = identity()
    del lonely["metadata"]["namespace"]
    assert "AgentIdentity default/agent" in program.check(lonely)[1]
    assert "AgentIdentity team/agent" in program.check(lonely, flags=("-n", "team"))[1]

"""Invariant 19: what is checked before it is applied is all that would be applied."""

from mutants.model import Mutant

DOCUMENTS = "operator/agent_identity/cli/documents.py"
READ = "tests/unit/cli/test_cli_documents.py"
ENDS = "tests/unit/cli/test_cli_usage.py::test_who_stops_reading_changes_no_exit_code"
TOLD = f"{READ}::test_what_cannot_be_read_is_told"
HIDDEN = f"{READ}::test_what_kubectl_would_take_for_ours_is_not_passed_over"

FILES = (
    Mutant(
        "merged-kind-passed-over",
        19,
        "What an object is does not come from a merge key or an encoded field.",
        DOCUMENTS,
        "        if key.tag in (_MERGE, _BINARY):\n",
        "        if False:\n",
        (f"{HIDDEN}[a merge key]", f"{HIDDEN}[an encoded field]"),
    ),
    Mutant(
        "encoded-kind-passed-over",
        19,
        "Kind and version are plain text.",
        DOCUMENTS,
        '        if key.value in ("apiVersion", "kind") and value.tag != _TEXT:\n',
        "        if False:\n",
        (f"{HIDDEN}[an encoded kind]", f"{HIDDEN}[an encoded version]"),
    ),
    Mutant(
        "first-of-two-kinds",
        19,
        "What an object is is said once.",
        DOCUMENTS,
        "    _check_keys([key for key, _ in fields if key.value in _DECIDING], source)\n",
        "",
        (
            f"{HIDDEN}[a kind twice]",
            f"{HIDDEN}[a kind twice in JSON]",
            f"{HIDDEN}[a kind twice in a list]",
            f"{HIDDEN}[items twice]",
            f"{HIDDEN}[metadata twice]",
        ),
    ),
    Mutant(
        "list-by-its-kind",
        19,
        "Whatever has items is a list, as with kubectl.",
        DOCUMENTS,
        "    if isinstance(items, yaml.SequenceNode):\n",
        '    if kind.endswith("List") and isinstance(items, yaml.SequenceNode):\n',
        (f"{READ}::test_whatever_has_items_is_a_list_as_with_kubectl",),
    ),
    Mutant(
        "items-without-a-kind-passed-over",
        19,
        "Items that name no kind are of their list's.",
        DOCUMENTS,
        "    kind, version = (kind, version) if kind or version else of_list\n",
        "",
        (f"{READ}::test_items_that_name_no_kind_are_of_their_lists",),
    ),
    Mutant(
        "merged-behind-others",
        19,
        "What is merged stands where all tools let the same value win.",
        DOCUMENTS,
        "        _check_merge(keys, source)\n",
        "",
        (f"{READ}::test_what_is_merged_stands_first",),
    ),
    Mutant(
        "anchors-multiply-lists",
        19,
        "What anchors multiply to is bounded before lists are taken apart.",
        DOCUMENTS,
        "    if size - len(known) > _SIZE:\n",
        "    if False:\n",
        (f"{TOLD}[lists that multiply]", f"{TOLD}[a list that holds itself]"),
    ),
    Mutant(
        "anchors-nest",
        19,
        "How deep anchors nest is bounded.",
        DOCUMENTS,
        "    if depth > _DEPTH:\n        _refuse",
        "    if False:\n        _refuse",
        (f"{TOLD}[anchors in a chain]",),
    ),
    Mutant(
        "large-file-taken-for-anchors",
        19,
        "A file that is large without anchors can be read.",
        DOCUMENTS,
        "    if size - len(known) > _SIZE:\n",
        "    if size > _SIZE:\n",
        (f"{READ}::test_a_large_list_without_anchors_is_no_trouble",),
    ),
    Mutant(
        "odd-tag-ends-all",
        19,
        "A value that is not of its tag ends with a message.",
        DOCUMENTS,
        "    except (AttributeError, LookupError):\n",
        "    except ZeroDivisionError:\n",
        (f"{TOLD}[no truth]", f"{TOLD}[no time]", f"{TOLD}[no whole number]"),
    ),
    Mutant(
        "closed-pipe-is-fine",
        19,
        "Who stops reading changes no exit code.",
        "operator/agent_identity/cli/output.py",
        "        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())\n",
        "        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())\n"
        "        raise SystemExit(0) from None\n",
        (f"{ENDS}[stdout-wrong]", f"{ENDS}[stderr-unreadable]"),
    ),
    Mutant(
        "shut-folder-passed-over",
        19,
        "A folder that can't be looked into is not passed over.",
        "operator/agent_identity/cli/files.py",
        "os.walk(path, onerror=_refuse)",
        "os.walk(path)",
        (f"{READ}::test_a_folder_that_may_not_be_looked_into_is_told[scandir]",),
    ),
    Mutant(
        "odd-kubeconfig-says-not-ready",
        19,
        "A kubeconfig that can't be read says nothing of an agent.",
        "operator/agent_identity/cli/cluster.py",
        "ValueError, yaml.YAMLError, *_MISSHAPEN)",
        "ValueError)",
        ("tests/unit/cli/test_cli_cluster.py::test_a_kubeconfig_that_cannot_be_read_is_told",),
    ),
)

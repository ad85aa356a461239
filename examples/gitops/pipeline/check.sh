#!/usr/bin/env bash
# What a change to a folder of manifests would do to who may do what, before anybody merges it.
#
#     check.sh FOLDER [BASE]      from the top of a Git checkout; BASE is origin/main by default
#
# The exit code is that of `agent-identity check`: 0 nothing is wrong, 1 something would be refused
# or stall, 2 something can't be read, 3 somebody would get more than before: let a human look.
set -euo pipefail

folder=${1:?usage: check.sh FOLDER [BASE]}
base=$(git merge-base "${2:-origin/main}" HEAD) || exit 2

if ! git cat-file -e "$base:$folder" 2>/dev/null; then
    echo "$folder is new: there is nothing to compare it with" >&2
    exec agent-identity check "$folder"
fi

old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$base" -- "$folder" | tar -x -C "$old"
agent-identity check "$folder" --against "$old/$folder"

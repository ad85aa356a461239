#!/usr/bin/env bash
# What a change to a folder of manifests would do to who may do what, before anybody merges it.
#
#     check.sh FOLDER [BASE]      from the top of a Git checkout; BASE is origin/main by default
#
# FOLDER is the one that Flux or Argo CD applies. Where it has a kustomization, its files say little
# of what that is: patches change them, other folders and addresses are taken in, files of any name,
# and what is taken out of `resources` is pruned while its file stays. So what kustomize builds is
# compared, and new.yaml:LINE is a line of `kubectl kustomize FOLDER`. What comes from an address is
# what is there now: let reviews see to it that a commit pins it. What a Flux Kustomization or an
# Application patches by itself is not seen.
#
# The exit code is that of `agent-identity check`: 0 nothing is wrong, 1 something would be refused
# or stall, 2 something can't be read or built, 3 somebody would get more than before: let a human
# look.
set -euo pipefail

folder=${1:?usage: check.sh FOLDER [BASE]}
base=$(git merge-base "${2:-origin/main}" HEAD) || exit 2

# What is applied of the folder, in the tree $1: a file or a folder.
applied() {
    local at=$1/$folder
    local kustomizations=('(' -name kustomization.yaml -o -name kustomization.yml
        -o -name Kustomization ')')
    if [ -n "$(find "$at/" -maxdepth 1 "${kustomizations[@]}")" ]; then
        kubectl kustomize "$at" >"$1.yaml" && echo "$1.yaml"
    elif [ -n "$(find "$at/" "${kustomizations[@]}")" ]; then
        echo "$at has kustomizations in its folders only: check each folder that is applied" >&2
        return 1
    else
        echo "$at"
    fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$PWD" "$work/new"
mkdir "$work/old"
# All of it: a kustomization may take in what is outside the folder.
git archive "$base" | tar -x -C "$work/old"
cd "$work"

new=$(applied new) || exit 2
if [ ! -d "old/$folder" ]; then
    echo "$folder is new: there is nothing to compare it with" >&2
    agent-identity check "$new"
    exit
fi
old=$(applied old) || exit 2
agent-identity check "$new" --against "$old"

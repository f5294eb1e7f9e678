#!/usr/bin/env bash
# Makes the Python environment that schemathesis runs in, once for each version of requirements.txt and of
# Python, in a cache outside the tree. Prints its directory on standard output; progress goes to standard error.
#
# The versions are pinned with the hashes of their files: see the head of requirements.txt for how to renew them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { printf 'schemathesis: %s\n' "$*" >&2; }
fail() { printf 'schemathesis: error: %s\n' "$*" >&2; exit 1; }

command -v python3 >/dev/null || fail "python3 was not found; run make setup, or install Python 3.11 or newer"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$(python3 --version) is too old; install Python 3.11 or newer, first on the PATH"
python3 -c 'import ensurepip, venv' 2>/dev/null ||
    fail "this Python cannot make virtual environments; run make setup, or install python3-venv"

version=$(python3 -c 'import sys, platform; print(sys.executable, *sys.version_info[:3], platform.machine())')
recipe=$( (printf '%s\n' "$version"; cat "$here/requirements.txt") | sha256sum | cut -c1-32)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/bcdr/schemathesis"
entry="$cache/$recipe"

# Tests run beside each other, and one makes it for all.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -e "$entry/complete" ]; then
    started=$SECONDS
    rm -rf "$entry"
    say "making the environment"
    python3 -m venv "$entry" || fail "the environment could not be made in $entry; see above"
    "$entry/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
        --only-binary :all: -r "$here/requirements.txt" >&2 ||
        fail "the packages could not be installed; check the way to the package index (pip config list), then run this again"
    touch "$entry/complete"
    # What earlier versions left is of no use any more.
    find "$cache" -mindepth 1 -maxdepth 1 -type d ! -name "$recipe" -mtime +30 -exec rm -rf {} +
    say "made in $((SECONDS - started)) s"
fi
printf '%s\n' "$entry"

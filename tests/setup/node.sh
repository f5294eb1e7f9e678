#!/usr/bin/env bash
# Says what to do when the web console cannot be built here. Installs nothing.
set -euo pipefail

fail() { printf 'console: error: %s; install Node 20.19 or newer with npm (https://nodejs.org), then run this again\n' "$*" >&2; exit 1; }

command -v node >/dev/null || fail "node was not found"
command -v npm >/dev/null || fail "npm was not found"
node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' || fail "node $(node --version) is too old"

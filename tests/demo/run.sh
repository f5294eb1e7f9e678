#!/usr/bin/env bash
# The main job on one machine: see tests/src/demo.rs. Expects what `make demo` prepares; builds the
# product and runs it. KEEP=1 leaves the site up; --failover shows the way to the target and back. The
# drills' evidence is saved in target/demo-evidence.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --package bcdr --package bcdr-tests --bin bcdr --bin demo
disk=$(tests/demo-disk/build.sh)
exec target/release/demo --disk "$disk" --evidence target/demo-evidence ${KEEP:+--keep} "$@"

#!/usr/bin/env bash
# Plants known bugs in a copy of the tree, one at a time, and checks that a test goes red.
#
# Each *.patch here begins with "Red: NAME", the test that must fail with it: a scenario of the
# simulator, or a unit test of the package in a second line, "In: PACKAGE". A bug that is missed, a
# patch that does not apply or compile, and a test that fails without any bug are all failures of this
# script. Names of patches may be given to try only those.
#
#   tests/planted/run.sh [NAME...]
#
# BCDR_SEEDS bounds the seeds per scenario (default 12); BCDR_PLANTED_DIR is where the copy and its
# build live (default target/planted).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${BCDR_PLANTED_DIR:-$root/target/planted}
tree=$work/tree
export CARGO_TARGET_DIR=$work/build
export BCDR_SEEDS=${BCDR_SEEDS:-12}
export RUST_BACKTRACE=0
mkdir -p "$work"
log=$work/last.log

copy_tree() {
    rm -rf "$work/fresh"
    mkdir -p "$work/fresh"
    # Also what is not committed yet; never a build.
    git -C "$root" ls-files -z --cached --others --exclude-standard |
        (cd "$root" && while IFS= read -r -d '' file; do
            [ -e "$file" ] && printf '%s\0' "$file"
        done) |
        tar -C "$root" --null --files-from=- -cf - | tar -C "$work/fresh" -xf -
    # tar keeps the time stamps, so what did not change is not built again.
    rm -rf "$tree"
    mv "$work/fresh" "$tree"
    # But what a bug was ever planted in must be: an older build of it may hold the bug.
    sed -n 's|^+++ b/||p' "$here"/*.patch | sort -u | (cd "$tree" && xargs touch -c)
}

# Runs a test, or those that begin so, of a package in the copy: 0 green, 1 red, 2 it does not compile.
run() {
    if ! (cd "$tree" && cargo test --quiet --locked -p "$2" --lib --no-run) >"$log" 2>&1; then
        return 2
    fi
    if (cd "$tree" && timeout 300 cargo test --quiet --locked -p "$2" --lib -- \
        "$1" --test-threads 2) >"$log" 2>&1; then
        grep -q '^test result: ok. [1-9]' "$log" && return 0
        return 2
    fi
    return 1
}

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for patch in "$here"/*.patch; do
        names+=("$(basename "$patch" .patch)")
    done
fi

# What must go red: the test and its package.
test_of() { sed -n 's/^Red: //p;q' "$here/$1.patch"; }
package_of() {
    local package
    package=$(sed -n '2s/^In: //p' "$here/$1.patch")
    echo "${package:-bcdr-tests}"
}

copy_tree
for name in "${names[@]}"; do
    test=$(test_of "$name") package=$(package_of "$name")
    # All scenarios are one run.
    [ "$package" != bcdr-tests ] || test=scenario_
    echo "$test $package"
done | sort -u >"$work/green"
while read -r test package; do
    if ! run "$test" "$package" </dev/null; then
        echo "$test in $package is not green without any bug planted:" >&2
        tail -n 40 "$log" >&2
        exit 1
    fi
done <"$work/green"

failed=0
printf '%-42s %-8s %s\n' "planted bug" "verdict" "test"
for name in "${names[@]}"; do
    patch=$here/$name.patch
    test=$(test_of "$name") package=$(package_of "$name")
    verdict=caught
    if (cd "$tree" && patch --quiet --strip=1 --forward --batch) <"$patch" >"$log" 2>&1; then
        status=0
        run "$test" "$package" || status=$?
        case $status in
            0) verdict=MISSED ;;
            2) verdict="BROKEN" ;;
        esac
        (cd "$tree" && patch --quiet --strip=1 --reverse --batch) <"$patch"
    else
        verdict="STALE"
        copy_tree
    fi
    [ "$verdict" = caught ] || { failed=1; cp "$log" "$work/$name.log"; }
    printf '%-42s %-8s %s\n' "$name" "$verdict" "$test"
done
exit $failed

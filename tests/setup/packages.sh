#!/usr/bin/env bash
# Installs what the tests and the demo need on a Debian or Ubuntu machine.
#
# Safe to run again: when nothing is missing it only asks dpkg and ends. It starts no service, leaves
# no apt source behind and removes no package. Rust is not installed here; its absence is reported.
set -euo pipefail

# Missing sets are reported by name, so a reader sees what an install is for.
declare -A package_sets=(
    ["virtual machines"]="qemu-system-x86 qemu-utils"
    ["NBD tools"]="nbdkit libnbd-bin python3-libnbd nbd-client fuse3"
    ["disks and file systems"]="fdisk e2fsprogs xfsprogs dosfstools mtools fio util-linux mount"
    ["demo disk image"]="mmdebstrap grub-pc-bin grub-common debian-archive-keyring"
    ["compiler"]="gcc libc6-dev make"
    ["network"]="iproute2"
    ["database"]="postgresql"
    ["name server"]="bind9"
    ["fonts"]="fonts-wqy-microhei"
    ["Python"]="python3 python3-venv"
)
# Package names differ between releases; the commands are what is really needed.
required_commands="qemu-system-x86_64 qemu-img qemu-io qemu-nbd nbdkit nbdinfo nbdcopy nbdsh nbdfuse
    fusermount3 fio mmdebstrap sfdisk mkfs.ext4 debugfs mkfs.xfs mkfs.vfat mcopy grub-mkimage losetup flock ip gcc make named chromium python3"

# Administration tools live in sbin, which an ordinary user's PATH lacks.
PATH="$PATH:/usr/sbin:/sbin"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "installing packages needs root and sudo is absent; run this once as root: tests/setup/packages.sh"
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get \
        -o DPkg::Lock::Timeout=600 -o Acquire::Retries=2 -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

# Runs a command with its output kept aside, shown only when the second try fails too.
with_retry() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1 </dev/null; then
        say "that failed, trying once more: ${*: -3}"
        sleep 5
        if ! "$@" >"$log" 2>&1 </dev/null; then
            tail -n 25 "$log" >&2
            rm -f "$log"
            return 1
        fi
    fi
    rm -f "$log"
}

require_rust() {
    command -v cargo >/dev/null && return
    [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] &&
        fail "cargo is installed but not on PATH; run: export PATH=\"\${CARGO_HOME:-\$HOME/.cargo}/bin:\$PATH\""
    fail "Rust 1.95 or newer is needed and cargo was not found; install Rust with rustup, then run this again"
}

# Prints the packages of one set that are not installed.
missing_of() {
    local package
    for package in $1; do
        [[ $installed == *" $package "* ]] || printf '%s ' "$package"
    done
}

missing_commands() {
    local command
    for command in $required_commands; do
        command -v "$command" >/dev/null || printf '%s ' "$command"
    done
}

can_install() { apt_get install -s --no-remove --no-install-recommends "$@" >/dev/null 2>&1; }

install_packages() {
    say "installing: $*"
    with_retry apt_get install -y -q --no-remove --no-install-recommends "$@"
}

# Services must not start just because a package that ships one was unpacked.
forbid_service_starts() {
    local policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && return
    made_policy=$policy
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 0755 "$policy"
}

# PostgreSQL's package makes a database of its own where there is none, and starts it at each boot. The
# tests make theirs, so the package is told not to, for as long as it is being installed.
forbid_default_database() {
    local settings=/etc/postgresql-common/createcluster.d
    [ -e "$settings" ] && return
    made_settings=$settings
    as_root mkdir -p "$settings"
    printf 'create_main_cluster = false\n' | as_root tee "$settings/tests.conf" >/dev/null
}

# Takes back what the two functions above put in place.
allow_again() {
    [ -z "$made_policy" ] || as_root rm -f "$made_policy"
    [ -z "$made_settings" ] || as_root rm -rf "$made_settings"
}

# An installed qemu-utils newer than the release's own QEMU cannot live beside it. The matching
# version is in the release's backports, reached through the mirror this machine already uses, with
# sources and package lists in a temporary directory so that the machine's apt settings stay as they are.
install_qemu_from_backports() {
    local ID codename mirror suite work keyring main_list=/dev/null result=0
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    ID=$(. /etc/os-release && printf '%s' "$ID")
    suite=$codename-backports
    mirror=$(apt_sources | awk -v codename="$codename" '$1 == codename && !found { print $2; found = 1 }')
    [ -n "$mirror" ] ||
        fail "qemu-system-x86 does not fit the installed qemu-utils and no apt source names release '$codename'; install both in one version"
    say "the release's QEMU does not fit the installed qemu-utils: taking it from $suite"
    work=$(mktemp -d)
    chmod 0755 "$work"
    mkdir -p "$work/sources.list.d" "$work/lists/partial"
    cp /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list "$work/sources.list.d/" 2>/dev/null || true
    [ -e /etc/apt/sources.list ] && main_list=/etc/apt/sources.list
    keyring=/usr/share/keyrings/$ID-archive-keyring.gpg
    if ! apt_sources | grep "^$suite " >/dev/null; then
        [ -e "$keyring" ] && keyring="[signed-by=$keyring] " || keyring=""
        printf 'deb %s%s %s main\n' "$keyring" "$mirror" "$suite" >"$work/sources.list.d/backports.list"
    fi
    local options=(-o Dir::Etc::SourceList="$main_list" -o Dir::Etc::SourceParts="$work/sources.list.d"
        -o Dir::State::Lists="$work/lists")
    { with_retry apt_get "${options[@]}" -q update &&
        with_retry apt_get "${options[@]}" install -y -q --no-remove --no-install-recommends \
            -t "$suite" qemu-system-x86 qemu-utils; } || result=$?
    as_root rm -rf "$work"
    [ "$result" -eq 0 ] ||
        fail "cannot install a qemu-system-x86 that fits the installed qemu-utils; install both in one version by hand"
}

# The configured package sources, one "release address" per line.
apt_sources() { apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages'; }

require_rust
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    absent=$(missing_commands)
    [ -z "$absent" ] && exit 0
    fail "this machine is not Debian or Ubuntu; install these tools with its own package manager: $absent"
fi
[ "$(dpkg --print-architecture)" = amd64 ] ||
    fail "the demo's disk and QEMU settings are for amd64; this machine is $(dpkg --print-architecture)"

all_packages="${package_sets[*]}"
# shellcheck disable=SC2086 # one argument per package
installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $all_packages 2>/dev/null |
    awk '$1 == "installed" { printf "%s ", $2 }' || true)"
missing=""
for set in "${!package_sets[@]}"; do
    absent=$(missing_of "${package_sets[$set]}")
    [ -z "$absent" ] && continue
    say "missing for $set: $absent"
    missing+=$absent
done
absent_commands=$(missing_commands)
if [ -z "$missing" ] && [ -z "$absent_commands" ]; then
    exit 0
fi

started=$SECONDS
made_policy="" made_settings=""
trap allow_again EXIT
forbid_service_starts
forbid_default_database
say "refreshing the package lists"
with_retry apt_get -q update || fail "apt-get update failed twice; check the machine's apt sources and network"
# Some releases ship nbdfuse in a package of its own.
if [[ " $absent_commands " == *" nbdfuse "* ]] && can_install nbdfuse; then
    missing+="nbdfuse "
fi
# Ubuntu has a browser as a snap only, which is installed by hand.
if [[ " $absent_commands " == *" chromium "* ]] && can_install chromium; then
    missing+="chromium "
fi
read -r -a wanted <<<"$missing"
if [ "${#wanted[@]}" -gt 0 ] && can_install "${wanted[@]}"; then
    install_packages "${wanted[@]}" || fail "installing packages failed; see the lines above"
elif [ "${#wanted[@]}" -gt 0 ]; then
    others=()
    for package in "${wanted[@]}"; do
        case $package in qemu-*) ;; *) others+=("$package") ;; esac
    done
    [ "${#others[@]}" -eq 0 ] || install_packages "${others[@]}" ||
        fail "installing packages failed; see the lines above"
    [[ $missing == *qemu-* ]] && install_qemu_from_backports
fi
absent_commands=$(missing_commands)
[ -z "$absent_commands" ] ||
    fail "still missing after the install: $absent_commands; install the packages that hold them by hand"
say "done in $((SECONDS - started)) s"

#!/usr/bin/env bash
# Builds the demo's bootable Debian disk, once for each version of this directory, in a cache outside
# the tree. Prints the path of the disk on standard output; progress goes to standard error.
#
# usage: build.sh [--out FILE]      FILE: a sparse copy of the disk is put there as well
#
# Beside disk.raw the cache holds disk.json (what is in it) and bcdr-demo (the program that runs in
# the machine; its commands `serve-clock` and `check` are for the host).
# BCDR_DEBIAN_MIRROR names the package source to use, when the machine's own is not Debian's.
set -euo pipefail

release=bookworm
disk_mebibytes=2048
partition_start=1048576 # bytes; 2048 sectors of 512
packages=systemd-sysv,udev,kmod,login,linux-image-cloud-amd64,initramfs-tools,e2fsprogs,busybox,lz4,qemu-guest-agent

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH="$PATH:/usr/sbin:/sbin"
started=$SECONDS

say() { printf 'demo disk: %s\n' "$*" >&2; }
fail() { printf 'demo disk: error: %s\n' "$*" >&2; exit 1; }

# Files of a system tree belong to root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "building the disk needs root and sudo is absent; run this once as root: tests/demo-disk/build.sh"
    fi
}

# A killed build may have left mounts below its tree; what is mounted is never touched.
remove_tree() { as_root rm -rf --one-file-system "$@"; }

out=""
while [ $# -gt 0 ]; do
    case $1 in
        --out) [ $# -ge 2 ] || fail "--out needs a file name"; out=$2; shift 2 ;;
        *) fail "unknown argument '$1'; usage: build.sh [--out FILE]" ;;
    esac
done

# Everything in this directory decides what the disk holds.
recipe=$(cd "$here" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-32)
root_uuid="${recipe:0:8}-${recipe:8:4}-${recipe:12:4}-${recipe:16:4}-${recipe:20:12}"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/bcdr/demo-disk"
entry="$cache/$recipe"

deliver() {
    if [ -n "$out" ]; then
        cp --sparse=always "$entry/disk.raw" "$out.new.$$" && mv "$out.new.$$" "$out" ||
            fail "cannot copy the disk to $out; check the space there"
    fi
    printf '%s\n' "$entry/disk.raw"
}

# The address of Debian's packages that this machine already uses; empty means mmdebstrap's own.
debian_mirror() {
    if [ -n "${BCDR_DEBIAN_MIRROR:-}" ]; then
        printf '%s' "$BCDR_DEBIAN_MIRROR"
    elif [ "$(. /etc/os-release && printf '%s' "$ID")" = debian ]; then
        apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
            awk -v codename="$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")" \
                '$1 == codename && !found { print $2; found = 1 }'
    fi
}

compile_program() {
    gcc -std=gnu11 -O2 -static -Wall -Wextra -Werror -o "$work/bcdr-demo" \
        "$here/workload.c" "$here/canary.c" "$here/network.c" "$here/console.c"
    strip "$work/bcdr-demo"
}

# Units that cost time in an emulated machine and that a disk without network services can miss.
masked_units() {
    printf '%s\n' systemd-logind.service getty-static.service systemd-journal-flush.service systemd-pstore.service \
        systemd-random-seed.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
        systemd-machine-id-commit.service systemd-hwdb-update.service systemd-sysusers.service \
        systemd-update-done.service systemd-boot-system-token.service systemd-binfmt.service \
        systemd-tmpfiles-clean.timer systemd-ask-password-console.path systemd-ask-password-wall.path \
        e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer ldconfig.service \
        dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
        sys-kernel-config.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount \
        modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service \
        modprobe@fuse.service modprobe@dm_mod.service modprobe@loop.service
}

# mmdebstrap runs this inside its own set-up of the tree: "$1" is the tree.
write_hooks() {
    cat >"$work/essential-hook" <<HOOK
#!/bin/sh
set -eu
cp -rT "$here/root" "\$1"
chown -R 0:0 "\$1/etc/systemd" "\$1/etc/initramfs-tools" "\$1/etc/modprobe.d" "\$1/srv/page"
# The initramfs holds a file system check only if it finds this table when it is made.
printf 'UUID=%s / ext4 defaults,noatime 0 1\n' "$root_uuid" >"\$1/etc/fstab"
HOOK
    cat >"$work/customize-hook" <<HOOK
#!/bin/sh
set -eu
install -D -m 0755 -o 0 -g 0 "$work/bcdr-demo" "\$1/usr/local/bin/bcdr-demo"
install -d -m 0755 -o 0 -g 0 "\$1/var/lib/bcdr"
passwd --root "\$1" --lock root >/dev/null
systemctl --root="\$1" --quiet enable serial-getty@ttyS0.service getty@tty1.service \
    bcdr-canary-report.service bcdr-network-probe.service bcdr-workload.service bcdr-page.service
systemctl --root="\$1" --quiet mask $(masked_units | tr '\n' ' ')
systemctl --root="\$1" --quiet set-default multi-user.target
rm -rf "\$1/var/lib/apt" "\$1/var/cache/apt" "\$1/etc/apt/apt.conf.d/99mmdebstrap" "\$1/var/log/"*.log "\$1/var/cache/debconf/"*-old
HOOK
    chmod +x "$work/essential-hook" "$work/customize-hook"
}

build_tree() {
    local mirror
    mirror=$(debian_mirror)
    # The machine's own proxy and clock settings for apt serve here too; they are removed from the tree.
    apt-config dump | grep -E '^Acquire::(http|https|Check|Retries)' >"$work/apt.conf" || true
    write_hooks
    # shellcheck disable=SC2086 # an empty mirror must be no argument at all
    as_root env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 mmdebstrap \
        --quiet --variant=essential --architectures=amd64 --include="$packages" \
        --aptopt="$work/apt.conf" \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --essential-hook="$work/essential-hook" --customize-hook="$work/customize-hook" \
        "$release" "$work/tree" $mirror >"$work/mmdebstrap.log" 2>&1 </dev/null || {
        tail -n 25 "$work/mmdebstrap.log" >&2
        fail "mmdebstrap could not build the tree; the lines above say why (BCDR_DEBIAN_MIRROR names another package source)"
    }
}

# No loop device, no mount and no grub-install: the host's kernel needs none of their drivers.
assemble_disk() {
    local boot=/usr/lib/grub/i386-pc
    as_root mkdir -p "$work/tree/boot/grub"
    sed -e "s/@ROOT_UUID@/$root_uuid/g" -e "s/@KERNEL@/$kernel/g" "$here/grub.cfg.in" |
        as_root tee "$work/tree/boot/grub/grub.cfg" >/dev/null
    # mmdebstrap empties this file last; a fixed one spares each clone the work of a first boot.
    printf '%s\n' "$recipe" | as_root tee "$work/tree/etc/machine-id" >/dev/null
    # Both came from the machine that builds.
    as_root rm -f "$work/tree/etc/resolv.conf"
    as_root chmod 0644 "$work/tree/etc/hostname"
    truncate -s "${disk_mebibytes}M" "$work/disk.raw"
    printf 'label: dos\nlabel-id: 0x%s\nstart=%s, type=83, bootable\n' \
        "${recipe:0:8}" $((partition_start / 512)) | sfdisk --quiet "$work/disk.raw"
    as_root mkfs.ext4 -q -F -L bcdr-demo -U "$root_uuid" -d "$work/tree" -m 1 \
        -E "offset=$partition_start,lazy_itable_init=0,root_owner=0:0" \
        -O '^metadata_csum_seed,^orphan_file' \
        "$work/disk.raw" $((disk_mebibytes * 1024 - partition_start / 1024))k
    grub-mkimage -O i386-pc -p '(hd0,msdos1)/boot/grub' -o "$work/core.img" \
        biosdisk part_msdos ext2 normal linux echo search search_fs_uuid serial terminal
    [ "$(stat -c %s "$work/core.img")" -lt $((partition_start - 512)) ] ||
        fail "GRUB's core image does not fit before the partition"
    dd if="$boot/boot.img" of="$work/disk.raw" bs=440 count=1 conv=notrunc status=none
    dd if="$work/core.img" of="$work/disk.raw" bs=512 seek=1 conv=notrunc status=none
}

write_description() {
    cat >"$work/disk.json" <<JSON
{
  "recipe": "$recipe",
  "release": "$release",
  "kernel": "$kernel",
  "bytes": $((disk_mebibytes * 1048576)),
  "partition_start": $partition_start,
  "root_uuid": "$root_uuid",
  "canary_file": "/var/lib/bcdr/canary",
  "probe_port": 7411,
  "sha256": "$(sha256sum "$work/disk.raw" | cut -d' ' -f1)"
}
JSON
}

if [ -e "$entry/disk.json" ]; then
    deliver
    exit 0
fi
mkdir -p "$cache"
exec 9>"$cache/lock"
flock --nonblock 9 || { say "another build is running, waiting for it"; flock 9; }
if [ -e "$entry/disk.json" ]; then
    deliver
    exit 0
fi
# The lock is ours, so these are left from builds that were killed.
remove_tree "$cache"/building.*
work=$(mktemp -d "$cache/building.XXXXXX")
trap 'remove_tree "$work"' EXIT
chmod 0755 "$work"
say "building, a minute or two, once (cache: $entry)"
say "1/4 compiling the program that runs in the machine"
compile_program
say "2/4 installing Debian $release into a tree"
build_tree
kernel=$(basename "$work"/tree/boot/vmlinuz-*)
kernel=${kernel#vmlinuz-}
say "3/4 laying out the disk with kernel $kernel"
assemble_disk
say "4/4 checking and moving it into the cache"
write_description
remove_tree "$work/tree" "$work/core.img" "$work/apt.conf" "$work/essential-hook" "$work/customize-hook"
mkdir "$work/entry"
mv "$work/disk.raw" "$work/disk.json" "$work/bcdr-demo" "$work/entry/"
as_root chown -R "$(id -u):$(id -g)" "$work/entry"
sync "$work/entry/disk.raw"
# An entry without its description is not one of ours that was finished: it is replaced.
rm -rf "$entry"
mv "$work/entry" "$entry"
say "done in $((SECONDS - started)) s"
deliver

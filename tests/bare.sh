#!/bin/sh
# bare.sh [--build|--demo] -- does a clone of HEAD pass `./dev check` (or only `./dev build`, or a
# minute of `./dev demo`) on a Debian 12 with nothing installed? Bootstraps one into a temporary
# folder, runs it there in a mount and process name space of its own, and removes it. Needs root,
# debootstrap and a Debian mirror (MIRROR=URL).
set -eu
cd "$(dirname "$0")/.."
case ${1-} in
'') task='check' ;;
--build) task='build' ;;
--demo) task='demo --for 60' ;;
*) echo 'usage: tests/bare.sh [--build|--demo]' >&2; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || { echo 'bare.sh: chroot needs root' >&2; exit 2; }
command -v debootstrap >/dev/null || { echo 'bare.sh: apt-get install debootstrap' >&2; exit 2; }
mirror=${MIRROR:-http://deb.debian.org/debian}
suite=bookworm

bare=$(mktemp -d /tmp/weir-bare.XXXXXX)
# The mounts live in the name space of the command below and are gone with it; should one be left
# nevertheless, rm must not walk into it.
trap 'rm -rf --one-file-system "$bare"' EXIT
trap 'exit 1' INT TERM
debootstrap --variant=minbase --include=ca-certificates $suite "$bare" "$mirror" >"$bare.log" ||
    { tail -n 20 "$bare.log"; exit 1; }
rm -f "$bare.log"
cat >>"$bare/etc/apt/sources.list" <<END
deb $mirror $suite-updates main
deb $mirror-security $suite-security main
END
cp -L /etc/resolv.conf "$bare/etc/resolv.conf"
for conf in /etc/apt/apt.conf.d/*proxy*; do     # how this machine reaches its mirror
    [ ! -e "$conf" ] || cp "$conf" "$bare/etc/apt/apt.conf.d/"
done
git clone -q . "$bare/weir"

# shellcheck disable=SC2016
unshare --mount --pid --fork --kill-child --propagation private sh -eu -c '
    mount -t proc proc "$1/proc"
    mount --rbind --make-rslave /sys "$1/sys"
    mount --rbind --make-rslave /dev "$1/dev"
    exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        sh -c "cd /weir && ./dev $2"
' bare "$bare" "$task"

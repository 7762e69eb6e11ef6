#!/bin/sh
# install.sh BUILD -- installs into an empty folder, compiles every example against the copy as a
# user would, shared and static, runs it, lints the man page and the unit, and uninstalls without
# leaving anything. What the examples do is asserted by tests/wire/test_examples.py.
set -eu
cd "$(dirname "$0")/.."
build=$(realpath "$1")
dest=$(mktemp -d)
out=$(mktemp -d)
trap 'rm -rf "$dest" "$out"' EXIT

DESTDIR=$dest meson install -C "$build" --no-rebuild --quiet
pc=$(find "$dest" -name weir.pc)
lib=$(dirname "$(find "$dest" -name libweir.a)")
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$dest"
"$(find "$dest" -name weir -path '*/bin/*')" --version

for example in examples/*.c; do
    name=$(basename "$example" .c)
    # What the README tells: no other option is needed.
    # shellcheck disable=SC2046
    cc "$example" -o "$out/$name" $(pkg-config --cflags --libs weir)
    readelf -d "$out/$name" | grep -q 'NEEDED.*libweir\.so\.0'
    LD_LIBRARY_PATH=$lib "$out/$name" --version
    # shellcheck disable=SC2046
    cc "$example" -o "$out/$name-static" $(pkg-config --cflags weir) "$lib/libweir.a" \
        $(pkg-config --static --libs weir | sed 's/-lweir//')
    if readelf -d "$out/$name-static" | grep libweir; then
        echo "$name: linked statically, and yet it needs libweir.so"
        exit 1
    fi
    "$out/$name-static" --version
done

# The page names every command and option that the binary knows, and reads without a warning.
page=$(find "$dest" -name weir.1)
mandoc -Tlint -W warning "$page"
mandoc -Tutf8 "$page" | sed 's/.\x08//g' >"$out/page"
for word in $("$build/gateway/weir" help proxy | grep -o -e '--[a-z][a-z-]*' | sort -u) READY=1; do
    [ "$word" = --help ] || grep -q -e "$word" "$out/page" || { echo "weir.1: no $word"; exit 1; }
done

# The unit starts what was installed, and systemd, where it is, understands every line.
unit=$(find "$dest" -name weir.service)
program=$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p' "$unit")
[ -x "$dest$program" ] || { echo "weir.service starts $program, which is not installed"; exit 1; }
if command -v systemd-analyze >/dev/null; then
    sed "s,^ExecStart=[^ ]*,ExecStart=$dest$program," "$unit" >"$out/weir.service"
    systemd-analyze verify --man=no "$out/weir.service" >"$out/verify" 2>&1 || true
    if grep weir "$out/verify"; then
        echo 'systemd-analyze complains about weir.service'
        exit 1
    fi
fi

DESTDIR=$dest ninja -C "$build" uninstall >"$out/uninstall.log"
left=$(find "$dest" -mindepth 1 ! -type d)
[ -z "$left" ] || { echo "left after uninstall: $left"; exit 1; }
left=$(find "$dest" -mindepth 1 -path '*weir*')
[ -z "$left" ] || { echo "folders left after uninstall: $left"; exit 1; }

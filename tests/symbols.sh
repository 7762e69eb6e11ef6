#!/bin/sh
# symbols.sh BUILD -- both libraries define the functions and constants that the public headers
# declare, and no other global name.
set -eu
cd "$(dirname "$0")/.."
build=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0
same() {
    diff "$1" "$2" >"$tmp/diff" || { echo "$3 (<) and $4 (>) differ:"; grep '^[<>]' "$tmp/diff"; status=1; }
}

# -aux-info lists each function that a file declares; the inline ones are static.
echo '#include <weir/weir.h>' >"$tmp/all.c"
sed -n 's/^extern const struct [a-z_]* \(weir_[a-z_]*\);$/\1/p' include/weir/*.h >"$tmp/constants"
gcc -std=gnu11 -I include -fsyntax-only -aux-info "$tmp/declared.txt" "$tmp/all.c"
sed -n 's,^/\* include/weir/[^ ]* \*/ extern [^(]*[ *]\(weir_[a-z0-9_]*\) (.*,\1,p' "$tmp/declared.txt" |
    cat - "$tmp/constants" | sort -u >"$tmp/declared"
nm -D --defined-only "$build/libweir.so" | awk '{ print $NF }' | sort -u >"$tmp/shared"
nm -g --defined-only "$build/libweir.a" | awk 'NF == 3 { print $NF }' | sort -u >"$tmp/static"

same "$tmp/declared" "$tmp/shared" 'the public headers' libweir.so
same "$tmp/shared" "$tmp/static" libweir.so libweir.a
if grep -v '^weir_' "$tmp/shared" "$tmp/static"; then
    echo 'only weir_* may be global'
    status=1
fi
objects=$(ar t "$build/libweir.a" | wc -l)
[ "$objects" = 1 ] || { echo "libweir.a holds $objects objects, not 1"; status=1; }
exit $status

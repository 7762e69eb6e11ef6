#!/bin/sh
# headers.sh -- each public header stands alone, as strict C11 and as C++17, by gcc and clang; each
# internal one stands alone too.
set -eu
cd "$(dirname "$0")/.."
status=0
compile() {
    header=$1
    shift
    echo "#include $header" | "$@" -fsyntax-only -I include -Wall -Wextra -Werror - ||
        { echo "$header: $*"; status=1; }
}
for path in include/weir/*.h; do
    name=${path##*/}
    for cc in gcc clang; do
        compile "<weir/$name>" $cc -x c -std=c11 -pedantic -Wstrict-prototypes
    done
    for cxx in g++ clang++; do
        compile "<weir/$name>" $cxx -x c++ -std=c++17 -Wpedantic
    done
    [ "$name" = weir.h ] || grep -q "^#include <weir/$name>" include/weir/weir.h ||
        { echo "<weir/weir.h> does not include <weir/$name>"; status=1; }
done
for path in src/*/*.h; do
    compile "\"${path#src/}\"" gcc -x c -std=gnu11 -D_GNU_SOURCE -I src
done
exit $status

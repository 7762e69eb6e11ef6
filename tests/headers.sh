#!/bin/sh
# headers.sh -- each public header stands alone, as strict C11 and as C++17, by gcc and clang.
set -eu
cd "$(dirname "$0")/.."
status=0
compile() {
    echo "#include <weir/$header>" | "$@" -fsyntax-only -I include -Wall -Wextra -Werror - ||
        { echo "<weir/$header>: $*"; status=1; }
}
for path in include/weir/*.h; do
    header=${path##*/}
    for cc in gcc clang; do
        compile $cc -x c -std=c11 -pedantic -Wstrict-prototypes
    done
    for cxx in g++ clang++; do
        compile $cxx -x c++ -std=c++17 -Wpedantic
    done
    [ "$header" = weir.h ] || grep -q "^#include <weir/$header>" include/weir/weir.h ||
        { echo "<weir/weir.h> does not include <weir/$header>"; status=1; }
done
exit $status

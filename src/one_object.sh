#!/bin/sh
# one_object.sh IN.a OUT.a OBJCOPY AR CC... -- makes the static library one relocatable object whose
# hidden symbols are local, so that only weir_* can clash with a name of the program that links it.
set -eu
in=$1 out=$2 objcopy=$3 ar=$4
shift 4
object=${out%.a}.o
"$@" -r -nostdlib -o "$object" -Wl,--whole-archive "$in" -Wl,--no-whole-archive
"$objcopy" --localize-hidden "$object"
rm -f "$out"
"$ar" rcs "$out" "$object"
rm -f "$object"

#!/bin/sh
# exports.sh LIBRARY MAP: what LIBRARY defines for others is what MAP lists, and it needs libc alone.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -D --defined-only "$1" | awk '{print $3}' | sort >"$work/exported"
sed -nE '/global:/,/local:/s/^ *([a-z0-9_]+);$/\1/p' "$2" | sort >"$work/listed"
test -s "$work/listed"
diff "$work/listed" "$work/exported"
test "$(readelf -d "$1" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')" = libc.so.6

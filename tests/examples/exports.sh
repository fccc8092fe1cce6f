#!/bin/sh
# exports.sh LIBRARY HEADER: the functions that HEADER declares are what LIBRARY defines for others.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -D --defined-only "$1" | awk '{print $3}' | sort >"$work/exported"
# A declaration begins a line; what stands in the comment at the top is indented. What is inline is
# in no library.
sed -nE '/^static inline/d; s/^[a-z].*[ *](kvmtape_[a-z_]+)\(.*/\1/p' "$2" | sort >"$work/declared"
test -s "$work/declared"
diff "$work/declared" "$work/exported"

#!/bin/sh
# run.sh LANGUAGE PREFIX KVMTAPE: builds the example of that language against the tree installed at
# PREFIX, runs it, and has KVMTAPE read what it recorded. Exit status 77 and a line `skipped: why`
# where a compiler or KVM is missing; what can be compiled is compiled all the same.
set -eu
language=$1 prefix=$2 kvmtape=$3
sources=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export LD_LIBRARY_PATH="$prefix/lib" PKG_CONFIG_PATH="$prefix/lib/pkgconfig"

case $language in
  c)
    # shellcheck disable=SC2046  # flags are words
    cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror "$sources/monitor.c" -o monitor \
      $(pkg-config --cflags --libs kvmtape)
    ;;
  cxx)
    cmake -S "$sources/package" -B . -DCMAKE_PREFIX_PATH="$prefix" >cmake.log || { cat cmake.log; exit 1; }
    cmake --build .
    ;;
  rust)
    rustc --version || { echo "skipped: rustc is not installed"; exit 77; }
    rustc --edition 2021 -D warnings -L "native=$prefix/lib" "$sources/monitor.rs" -o monitor
    ;;
esac

./monitor monitor.kvmtape
"$kvmtape" verify monitor.kvmtape
"$kvmtape" dump monitor.kvmtape | grep KVM_EXIT_HLT

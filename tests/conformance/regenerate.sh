#!/usr/bin/env bash
# Writes traces/NAME.expect.jsonl, what the reader says of each recording, and makes the recordings
# of traces/raw that are missing. Recordings that exist are never replaced. What changed is then
# reviewed: git diff traces/.
set -euo pipefail
cd "$(dirname "$0")/../.."
tool=${KVMTAPE:-build/kvmtape}

# TAG ARCHITECTURE KERNEL, then what else traces/raw/README.md says of its kernel.
import_pages() {
  local tag=$1 architecture=$2 kernel=$3
  shift 3
  [[ -e traces/$tag.kvmtape ]] && return
  "$tool" import --format raw-pages --arch "$architecture" --kernel "$kernel" "$@" -q \
    --returns <(tail -n +2 "traces/raw/$tag.tsv" | cut -f5 | sed 's/^rc=\(-\{0,1\}[0-9]*\).*/\1/') \
    -o "traces/$tag.kvmtape" "traces/raw/$tag.bin.zst"
  chmod 644 "traces/$tag.kvmtape"
}

import_pages a64-5.10.218-a72 aarch64 5.10.218 --cap 215=0 --cap 216=0
import_pages a64-5.10.218-n1 aarch64 5.10.218 --cap 215=0 --cap 216=0
import_pages a64-6.1.192-n1 aarch64 6.1.192 --cap 215=1 --cap 216=1
import_pages a64-6.12.117-n1 aarch64 6.12.117 --cap 215=1 --cap 216=1
import_pages a64-7.2.13-n1 aarch64 7.2.13 --cap 215=1 --cap 216=1
import_pages a64be-5.10.223-n1 aarch64 5.10.223 --big-endian
import_pages ppc64le-6.12.107 ppc64 6.12.107
import_pages rv64-6.12.107 riscv64 6.12.107

for trace in traces/*.kvmtape; do
  "$tool" dump --json "$trace" >"${trace%.kvmtape}.expect.jsonl"
done

#!/bin/sh
# header_example.sh HEADER: the example in the header's own opening comment compiles as C.
set -eu
header=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{
  echo '#include <errno.h>'
  echo '#include <stdio.h>'
  echo '#include <linux/kvm.h>'
  echo '#include <sys/ioctl.h>'
  echo "#include \"$header\""
  echo 'int record(int kvm_fd, int vm_fd, int vcpu_fd, uint32_t id, struct kvm_run *run, uint64_t run_bytes);'
  echo 'int record(int kvm_fd, int vm_fd, int vcpu_fd, uint32_t id, struct kvm_run *run, uint64_t run_bytes) {'
  # The indented lines of the first comment; three dots stand for the monitor's own code.
  sed -n '1,/\*\//s/^ \*     //p' "$header" | sed 's/\.\.\. .* \.\.\./if (run->exit_reason == KVM_EXIT_HLT) break;/'
  echo 'return 0; }'
} >"$work/example.c"
grep -q kvmtape_exit "$work/example.c" || { echo "no example found in $header"; exit 1; }
cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only "$work/example.c"

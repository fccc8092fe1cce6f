# What stands inside a chunk of a kvmtape trace. FORMAT.md says how chunks are framed, what the
# columns hold, and what a reader MUST do with what it does not know.
#
# Policy: kernel integers keep the kernel's width. Text that comes from the system is Data where
# UTF-8 is not guaranteed. A field added later has the default that older traces meant. Every "must"
# here is checked by the reader.

@0xd3a1c0f2b7e94856;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("kvmtape::wire");

using Ticks = UInt64;
# A reading of the session's clock (Session.clockName).
using Nanoseconds = UInt64;
using KvmCapability = UInt32;
# A KVM_CAP_ number.

struct ClockPair {
  # The clocks, read together.
  ticks @0 :Ticks;
  # Of the clock that the session names; every time in the recording counts in these.
  monotonicNs @1 :Nanoseconds;
  # CLOCK_MONOTONIC.
  realtimeNs @2 :Nanoseconds;
  # CLOCK_REALTIME, since 1970; 0 if not known.
}

struct Capability {
  number @0 :KvmCapability;
  # What was asked for.
  value @1 :Int32;
  # What KVM_CHECK_EXTENSION returned; 0 means the kernel does not have it.
  systemWide @2 :Bool = false;
  # Asked of /dev/kvm rather than of the VM; per-VM answers may differ.
}

struct Vcpu {
  index @0 :UInt32;
  # kvmtape's, from 0 in order of attachment; chunk headers name it.
  id @1 :UInt32;
  # KVM's, the argument of KVM_CREATE_VCPU.
  runBytes @2 :UInt32;
  # KVM_GET_VCPU_MMAP_SIZE.
}

struct CpuFact {
  name @0 :Text;
  # A field of /proc/cpuinfo or a KVM module parameter: "vendor_id", "kvm_amd.nested".
  value @1 :Data;
  # As the system wrote it, without the newline.
}

struct Session {
  # What decoding needs and cannot be found in the exits. Repeated along the file; the last one wins,
  # and those before it hold what was known then.
  architecture @0 :UInt16;
  # enum Architecture of trace_format.h: of the recording kernel.
  bigEndian @1 :Bool;
  # Byte order of the recording kernel, and so of kvm_run.
  kernelRelease @2 :Data;
  # uname -r; empty: not known.
  kernelVersion @3 :Data;
  # uname -v: distributions put their patch level here.
  pageBytes @4 :UInt32;
  # 0: not known.
  vcpus @5 :List(Vcpu);
  # Those attached so far.
  capabilities @6 :List(Capability);
  # Those of interest to the decoder; one that is missing was not asked.
  cpuFacts @7 :List(CpuFact);
  # What of the CPU and the KVM modules decides between behaviours.
  clockName @8 :Text;
  # "tsc", "cntvct", "monotonic-ns"; "none": nothing says when, all times are 0.
  ticksPerSecond @9 :UInt64;
  # Best estimate when this was written; ClockPairs decide.
  start @10 :ClockPair;
  # time_ns counts from here.
  now @11 :ClockPair;
  # When this message was written.
  monitorName @12 :Data;
  # comm or argv[0] of the monitor; empty: not known.
  monitorPid @13 :UInt32;
  # In the recorder's PID namespace; 0: not known.
  monitorCommand @14 :Data;
  # Arguments, each ended by a NUL; empty when left out.
  recorder @15 :Text;
  # "kvmtape 0.1.0 embed", "... probe", "... import raw-stream".
  hostName @16 :Data;
  # uname -n; empty: left out.
  ringDirectory @17 :Data;
  # Where rings may have been left behind; empty: there never were any.
  registerPolicy @18 :Text;
  # As in `record --registers`.
  ringFull @19 :Text;
  # "drop" or "overwrite".
  leftOut @20 :List(Text);
  # What the recorder was told not to record, in the words of its options; "ret": what KVM_RUN returned.
  redaction @21 :Text;
  # Profile applied to this file; empty: none.
  trigger @22 :Text;
  # What made a flight recorder write this; empty: continuous.
  abiVariant @23 :Text;
  # A named unmerged ABI that the user asked for; empty: mainline.
  distribution @24 :Data;
  # PRETTY_NAME of /etc/os-release.
  history @25 :List(Text);
  # What was done to the file since it was recorded, oldest first: "kvmtape 0.1.0 recover: ...".
  copiedEnd @26 :UInt16;
  # Of a copy: 1, the end of the recording that was read was torn; 2, it was never sealed: exits may
  # have stood behind the last one. 0: it was the last, or this is no copy. A copy's copy keeps it.
}

struct Column {
  id @0 :UInt16;
  # enum ColumnId; a reader skips one that it does not know unless `required`.
  required @1 :Bool = false;
  # Without understanding this column the chunk must not be decoded.
  rawBytes @2 :UInt32;
  # Exact size uncompressed. All columns of a chunk together: at most 16 MiB.
  zstd @3 :Bool = true;
  # One zstd frame; false: the bytes as they are.
  bytes @4 :Data;
  # Compressed if `zstd`; exactly rawBytes long if not.
}

struct Exits {
  # Records of one vCPU, in order. Stands alone: what decoding needs is repeated.
  architecture @0 :UInt16;
  # As in Session.
  bigEndian @1 :Bool;
  # As in Session.
  coreWords @2 :UInt16;
  # 36, or 38 on s390.
  vcpuId @3 :UInt32;
  # KVM's id; the chunk header has our index.
  clock @4 :ClockPair;
  # The latest pair before the chunk was written.
  ticksPerSecond @5 :UInt64;
  # As in Session, as known when the chunk was written.
  columns @6 :List(Column);
  # Each id at most once, in any order.
  lost @7 :UInt64;
  # Exits in the gaps of this chunk.
  lostTotal @8 :UInt64;
  # Of this vCPU since its beginning, this chunk included.
  previousTicks @9 :Ticks;
  # Of the moment before the first in this chunk; 0: there was none. Guest time is counted from it.
}

struct Cut {
  # Every vCPU has been flushed: no chunk behind this one holds a moment before `clock`, but for
  # moments whose record was being written while the clocks were read.
  number @0 :UInt64;
  # Counts from 1; chunk headers name the cut that they stand before.
  clock @1 :ClockPair;
  # Read after the rings had been drained.
}

struct Index {
  struct Entry {
    offset @0 :UInt64;
    # Of the chunk's header in the file.
    type @1 :UInt16;
    # enum ChunkType.
    vcpuIndex @2 :UInt32;
    # As in the chunk's header, like all that follows but `reasons` and `lost`.
    exits @3 :UInt32;
    # These repeat what the chunk's header says.
    firstSeq @4 :UInt64;
    # Of the first thing in it.
    endSeq @5 :UInt64;
    # After the last thing in it.
    firstTicks @6 :Ticks;
    # Of the first moment in it; 0: there is none.
    lastTicks @7 :Ticks;
    # Of the last one; likewise.
    cut @8 :UInt64;
    # That it stands before.
    reasons @9 :List(ReasonCount);
    # Exits by reason; so `stat` and --exit pass over chunks without reading them.
    lost @10 :UInt64;
    # Exits in its gaps.
  }
  struct ReasonCount {
    reason @0 :UInt32;
    # kvm_run.exit_reason.
    count @1 :UInt32;
    # Exits of this chunk that have it.
  }
  entries @0 :List(Entry);
  # Of the chunks since the index before this one: at most 4096.
  exits @1 :UInt64;
  # In the whole file up to here.
  lost @2 :UInt64;
  # Likewise.
  previousOffset @3 :UInt64;
  # Of the index chunk before this one; 0: this is the first.
}

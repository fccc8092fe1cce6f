#include "recorder/probe/probe.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "recorder/probe/deadline.h"
#include "recorder/probe/guest.h"
#include "recorder/probe/stage.h"
#include "schema/base/unique_fd.h"

namespace kvmtape {
namespace {

// A guest gives some tens of exits; each of its vCPUs has a ring of its own.
constexpr size_t kRingBytes = 256 * 1024;

struct Kvm {
  UniqueFd system;
  UniqueFd vm;  // asked for its capabilities; runs nothing
};

Error refused(const std::string& device, std::string_view what, int error_number,
              std::string_view next) {
  return {.code = ErrorCode::kRefused,
          .message = fmt::format("{}: {}; {}", what, std::strerror(error_number), next),
          .path = device,
          .byte_offset = {}};
}

std::string_view next_step_after_open(int error_number) {
  switch (error_number) {
    case ENOENT:
      return "this kernel offers no KVM here: load kvm_intel or kvm_amd (switch virtualization on "
             "in the firmware; in a virtual machine, nested virtualization on its host)";
    case EACCES:
    case EPERM:
      return "run as a user who may use it (group kvm), or give a container --device /dev/kvm";
    default:
      return "see the kernel's log (dmesg)";
  }
}

Result<Kvm> open_kvm(const std::string& device) {
  Kvm kvm;
  kvm.system.reset(open(device.c_str(), O_RDWR | O_CLOEXEC));
  if (!kvm.system.valid()) {
    return refused(device, "cannot open", errno, next_step_after_open(errno));
  }
  const int version = ioctl(kvm.system.get(), KVM_GET_API_VERSION, 0);
  if (version != KVM_API_VERSION) {
    return refused(device, "KVM_GET_API_VERSION is not 12", version < 0 ? errno : EPROTO,
                   "this is not KVM's device, or a kernel before 2.6.22");
  }
  kvm.vm.reset(ioctl(kvm.system.get(), KVM_CREATE_VM, 0));
  if (!kvm.vm.valid()) {
    return refused(device, "KVM_CREATE_VM", errno,
                   "another hypervisor may hold the processor's virtualization, or a limit on "
                   "memory is reached; see the kernel's log (dmesg)");
  }
  return kvm;
}

Result<std::vector<const Guest*>> choose_guests(const std::vector<std::string>& only) {
  std::vector<const Guest*> chosen;
  for (const std::string& name : only) {
    const auto guests = battery();
    if (std::none_of(guests.begin(), guests.end(),
                     [&](const Guest* guest) { return name == guest->name; })) {
      return Error{.code = ErrorCode::kUsage,
                   .message = fmt::format(
                       "no guest is called '{}'; kvmtape probe --list names them all", name),
                   .path = {},
                   .byte_offset = {}};
    }
  }
  for (const Guest* guest : battery()) {
    if (only.empty() || std::find(only.begin(), only.end(), guest->name) != only.end()) {
      chosen.push_back(guest);
    }
  }
  return chosen;
}

Result<kvmtape_session*> open_session(const ProbeOptions& options, const Kvm& kvm) {
  kvmtape_options embed;
  kvmtape_options_init(&embed);
  embed.path = options.path.empty() ? nullptr : options.path.c_str();
  embed.force = options.force ? 1 : 0;
  embed.ring_bytes = kRingBytes;
  embed.allow_vcpu_ioctls = 1;
  embed.kvm_fd = kvm.system.get();
  embed.vm_fd = kvm.vm.get();
  embed.monitor_name = "kvmtape probe";
  embed.recorder = "probe";
  kvmtape_error error = {};
  kvmtape_session* session = kvmtape_open(&embed, &error);
  if (session == nullptr) {
    return Error{.code = ErrorCode::kIo, .message = error.text, .path = {}, .byte_offset = {}};
  }
  return session;
}

const char* outcome_words(GuestOutcome outcome) {
  switch (outcome) {
    case GuestOutcome::kAsExpected:
      return "as expected";
    case GuestOutcome::kRefused:
      return "refused";
    case GuestOutcome::kDiffers:
      return "differs";
  }
  return "";
}

GuestReport play(const Guest& guest, const Kvm& kvm, kvmtape_session* session,
                 const ProbeOptions& options) {
  kvmtape_mark(session, fmt::format("probe {}: {}", guest.name, guest.what).c_str());
  Stage stage(kvm.system.get(), session, options.poison, kGuestExitsMax, options.guest_time_max);
  {
    const Deadline deadline(stage.time_max());
    guest.play(stage);
  }
  GuestReport report{.name = guest.name,
                     .what = guest.what,
                     .outcome = stage.outcome(),
                     .exits = stage.exits(),
                     .detail = stage.detail()};
  kvmtape_mark(session, fmt::format("probe {}: {}{}{}", guest.name, outcome_words(report.outcome),
                                    report.detail.empty() ? "" : ": ", report.detail)
                            .c_str());
  return report;
}

}  // namespace

Result<ProbeReport> run_probe(const ProbeOptions& options) {
  KVMTAPE_TRY_ASSIGN(const std::vector<const Guest*> guests, choose_guests(options.only));
  KVMTAPE_TRY_ASSIGN(const Kvm kvm, open_kvm(options.kvm_device));
  KVMTAPE_TRY_ASSIGN(kvmtape_session* const session, open_session(options, kvm));

  ProbeReport report;
  if (options.poison) {
    kvmtape_mark(session,
                 "probe --poison: before each KVM_RUN kvm_run is filled with 0xaa, but for "
                 "what KVM reads: a byte of 0xaa is one that this kernel did not write");
  }
  {
    const KickHandler kick_handler;
    for (const Guest* guest : guests) {
      report.guests.push_back(play(*guest, kvm, session, options));
    }
  }
  report.path = kvmtape_path(session);
  kvmtape_error error = {};
  if (kvmtape_close(session, &report.totals, &error) != 0) report.not_sealed = error.text;
  return report;
}

std::vector<GuestInfo> list_guests() {
  std::vector<GuestInfo> infos;
  for (const Guest* guest : battery()) infos.push_back({guest->name, guest->what});
  return infos;
}

}  // namespace kvmtape

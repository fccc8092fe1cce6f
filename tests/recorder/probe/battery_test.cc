// The battery of this architecture as a list: what `--list` prints, and the sources it comes from.
// Needs no KVM, so that the cross build runs it, too.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "recorder/probe/probe.h"

namespace kvmtape {
namespace {

#if defined(__x86_64__)
const std::filesystem::path kGuests = KVMTAPE_SOURCE_DIR "/recorder/probe/guests/x86_64";
const std::set<std::string> kShared = {"battery", "cpu"};
#else
const std::filesystem::path kGuests = KVMTAPE_SOURCE_DIR "/recorder/probe/guests/aarch64";
const std::set<std::string> kShared = {"battery", "cpu", "scripts"};
#endif

TEST(Battery, NamesAreUniqueAndEachSaysWhatItProvokes) {
  std::set<std::string> names;
  for (const GuestInfo& guest : list_guests()) {
    EXPECT_TRUE(names.insert(guest.name).second) << guest.name;
    EXPECT_NE(guest.what.find(' '), std::string::npos) << guest.name << ": " << guest.what;
  }
  EXPECT_TRUE(names.contains("mmio_write"));
}

TEST(Battery, EachGuestIsASourceOfItsNameAndEachSourceIsInTheBattery) {
  std::set<std::string> sources;
  for (const auto& file : std::filesystem::directory_iterator(kGuests)) {
    if (file.path().extension() == ".cc") sources.insert(file.path().stem().string());
  }
  for (const std::string& shared : kShared) EXPECT_EQ(sources.erase(shared), 1u) << shared;
  std::set<std::string> names;
  for (const GuestInfo& guest : list_guests()) names.insert(guest.name);
  EXPECT_EQ(names, sources);
}

}  // namespace
}  // namespace kvmtape

# Everything that comes from outside, by the name of its Debian package in `dev`.
find_package(Threads REQUIRED)
find_package(CapnProto CONFIG REQUIRED)
find_package(fmt REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
find_package(CLI11 CONFIG)
find_package(nlohmann_json)
pkg_check_modules(CAPSTONE IMPORTED_TARGET capstone)
pkg_check_modules(ELFUTILS IMPORTED_TARGET libelf libdw)  # for `explain --vmlinux`
if(KVMTAPE_TESTS OR KVMTAPE_FUZZ)
  find_package(GTest REQUIRED)
endif()

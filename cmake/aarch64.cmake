# Cross build for aarch64 with Debian's cross compiler and foreign-architecture libraries; tests run
# under qemu-user. Used by the preset `aarch64`.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

# Libraries come from aarch64's folders only: pkg-config would otherwise answer for this machine.
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
set(PKG_CONFIG_EXECUTABLE /usr/bin/pkg-config)
# The schema compiler runs here, not there.
set(CAPNP_EXECUTABLE /usr/bin/capnp)
set(CAPNPC_CXX_EXECUTABLE /usr/bin/capnpc-c++)

find_program(KVMTAPE_QEMU_AARCH64 NAMES qemu-aarch64-static qemu-aarch64)
if(KVMTAPE_QEMU_AARCH64)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${KVMTAPE_QEMU_AARCH64})
endif()

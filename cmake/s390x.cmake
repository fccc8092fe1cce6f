# Cross build for a big-endian machine, to show that the reader says the same there. Debian's cross
# compiler; libraries from the folder that `./dev` unpacks them into, since they cannot be installed
# beside this machine's when the two are not of the same day. Tests run under qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(CMAKE_C_COMPILER s390x-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER s390x-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE s390x-linux-gnu)

get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../build/s390x-packages ABSOLUTE)
set(CMAKE_FIND_ROOT_PATH ${root} /usr/s390x-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${root})
set(ENV{PKG_CONFIG_LIBDIR} ${root}/usr/lib/s390x-linux-gnu/pkgconfig:${root}/usr/share/pkgconfig)
set(PKG_CONFIG_EXECUTABLE /usr/bin/pkg-config)
# The schema compiler runs here, not there.
set(CAPNP_EXECUTABLE /usr/bin/capnp)
set(CAPNPC_CXX_EXECUTABLE /usr/bin/capnpc-c++)

find_program(KVMTAPE_QEMU_S390X NAMES qemu-s390x-static qemu-s390x)
if(KVMTAPE_QEMU_S390X)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${KVMTAPE_QEMU_S390X} -L /usr/s390x-linux-gnu
      -E LD_LIBRARY_PATH=${root}/usr/lib/s390x-linux-gnu)
endif()

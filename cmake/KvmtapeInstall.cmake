# libkvmtape.so, the embedding API for monitors in any language, with its header, a pkg-config file
# and a CMake package. There is one shared library to link; those that it needs itself come with it.
include(CMakePackageConfigHelpers)

add_library(kvmtape_shared SHARED $<TARGET_OBJECTS:kvmtape_embed>)
target_link_libraries(kvmtape_shared PRIVATE kvmtape_embed)
target_include_directories(kvmtape_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_options(kvmtape_shared PRIVATE
  LINKER:--version-script=${PROJECT_SOURCE_DIR}/recorder/kvmtape.map LINKER:--exclude-libs,ALL)
set_target_properties(kvmtape_shared PROPERTIES
  OUTPUT_NAME kvmtape EXPORT_NAME kvmtape_embed
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS ${PROJECT_SOURCE_DIR}/recorder/kvmtape.map)

install(TARGETS kvmtape_shared EXPORT kvmtapeTargets COMPONENT kvmtape_embed)
install(FILES recorder/kvmtape.h TYPE INCLUDE COMPONENT kvmtape_embed)

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/kvmtape)
install(EXPORT kvmtapeTargets NAMESPACE kvmtape:: FILE kvmtapeConfig.cmake
        DESTINATION ${package_directory} COMPONENT kvmtape_embed)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/kvmtapeConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/kvmtapeConfigVersion.cmake
        DESTINATION ${package_directory} COMPONENT kvmtape_embed)

# Relative to itself, so that an installed tree can be moved.
file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" prefix_from_pc ${prefix_from_pc})
configure_file(cmake/kvmtape.pc.in kvmtape.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/kvmtape.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT kvmtape_embed)

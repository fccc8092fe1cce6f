# Language level, warnings and sanitizers for every target, and the one function that adds a library.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# The tool stands at build/kvmtape (docs and scripts rely on it).
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

# The recorder runs on these; the reader runs anywhere.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(KVMTAPE_RECORDER_ARCH aarch64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
  set(KVMTAPE_RECORDER_ARCH x86_64)
endif()
if(KVMTAPE_RECORDER_ARCH)
  option(KVMTAPE_RECORDER "Build what records; without it the tool only reads" ON)
else()
  set(KVMTAPE_RECORDER OFF)
endif()
option(KVMTAPE_TESTS "Build the tests" ON)
option(KVMTAPE_BENCH "Build the benchmarks" OFF)
option(KVMTAPE_FUZZ "Build the fuzzers beside the tests (clang)" OFF)
option(KVMTAPE_STATIC "Link the tool statically, to run where no library is" OFF)
option(KVMTAPE_QUICK_BUILD "For what is built to be tested only: less to compile, not all of it optimised" OFF)
set(KVMTAPE_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")

find_program(KVMTAPE_CCACHE ccache)
if(KVMTAPE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${KVMTAPE_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${KVMTAPE_CCACHE})
endif()

set(KVMTAPE_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
if(KVMTAPE_SANITIZE)
  # Little optimisation and only line tables: what these builds find does not depend on more, and
  # they are most of what `./dev test` compiles.
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")
  add_compile_options(-fsanitize=${KVMTAPE_SANITIZE} -fno-omit-frame-pointer)
  if(KVMTAPE_SANITIZE MATCHES "undefined")
    # recorder/capture is compiled without the run-time type information that vptr compares.
    add_compile_options(-fno-sanitize-recover=undefined -fno-sanitize=vptr)
  endif()
  add_link_options(-fsanitize=${KVMTAPE_SANITIZE})
endif()

# What sanitizers and other architectures are not there to test at length (analysis, cli) takes
# longer to optimise than to run. Not the recorder, the codecs and the decoder: those are fuzzed.
set(KVMTAPE_BARELY_TESTED "")
if(KVMTAPE_QUICK_BUILD)
  set(KVMTAPE_BARELY_TESTED -O0)
endif()

# kvmtape_library(NAME [UNITY] SOURCES... [HEADERS ...] [DEPENDS ...]): a static library whose headers
# are rooted at the repository and compile alone (target all_verify_interface_header_sets, of
# ./dev test --full).
# UNITY: a dozen of its sources are compiled at once, where each alone would read headers for longer
# than it takes itself; in a quick build all libraries are, which takes half the time and is another
# reason why no two sources of one may give one name to two things.
function(kvmtape_library name)
  cmake_parse_arguments(ARG "UNITY" "" "SOURCES;HEADERS;DEPENDS" ${ARGN})
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    target_compile_options(${name} PRIVATE ${KVMTAPE_WARNINGS})
    if(KVMTAPE_FUZZ)
      target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)  # the fuzzers see where they get
    endif()
  else()
    add_library(${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${name} ${scope} ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} ${scope} ${ARG_DEPENDS})
  if(ARG_UNITY OR KVMTAPE_QUICK_BUILD)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
  endif()
  if(NOT ARG_UNITY)
    # A header with a source is its first include (tests/tidy sees to it), and so compiled alone with
    # it: once more would show nothing, and take a tenth of the build's time.
    foreach(header IN LISTS ARG_HEADERS)
      string(REGEX REPLACE "h$" "cc" source ${header})
      if(source IN_LIST ARG_SOURCES)
        list(REMOVE_ITEM ARG_HEADERS ${header})
      endif()
    endforeach()
  endif()
  if(ARG_HEADERS)
    target_sources(${name} ${scope} FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARG_HEADERS})
    set_target_properties(${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  endif()
endfunction()

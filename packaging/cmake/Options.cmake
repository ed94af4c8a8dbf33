# What every target of ours is compiled and linked with.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(FRYS_SANITIZE "" CACHE STRING "sanitizers for our code: address,undefined or thread")
option(FRYS_COVERAGE "count executed lines (gcov)" OFF)
option(FRYS_FUZZ "build *_fuzz.c with libFuzzer (needs clang)" OFF)

add_library(frys_options INTERFACE)
target_include_directories(frys_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_definitions(frys_options INTERFACE _GNU_SOURCE)
target_compile_options(frys_options INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wundef -Wvla -Werror -fno-strict-overflow -fno-omit-frame-pointer
    -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)

if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(frys_options INTERFACE
        -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fcf-protection -fstack-clash-protection)
    target_link_options(frys_options INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    # Objects have machine code, too: tests are linked without link-time optimisation, which takes
    # seconds for each of them.
    set(CMAKE_C_COMPILE_OPTIONS_IPO -flto=auto -ffat-lto-objects)
    set(CMAKE_C_FLAGS_RELEASE "-O2 -g") # asserts stay on (base/assert.h); symbols go apart in packages
endif()

if(FRYS_SANITIZE)
    target_compile_options(frys_options INTERFACE
        -fsanitize=${FRYS_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(frys_options INTERFACE -fsanitize=${FRYS_SANITIZE})
endif()
if(FRYS_COVERAGE)
    target_compile_options(frys_options INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(frys_options INTERFACE --coverage)
endif()

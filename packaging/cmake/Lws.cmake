# The libwebsockets this build uses: target frys_lws, and for `frysd --version` the strings
# FRYS_LWS_VERSION, FRYS_LWS_TLS_VERSION and FRYS_LWS_UV_VERSION (variables here, macros for who
# links the target).
#
#   FRYS_LWS=bundled  packaging/deps/build-lws builds it now, once for all presets with the same
#                     compiler and sanitizers, under build/deps
#   FRYS_LWS=system   the distribution's shared library, with OpenSSL underneath
set(FRYS_LWS bundled CACHE STRING "libwebsockets: bundled or system")
set_property(CACHE FRYS_LWS PROPERTY STRINGS bundled system)

find_package(Threads REQUIRED)
add_library(frys_lws INTERFACE)

if(FRYS_LWS STREQUAL "bundled")
    set(FRYS_LWS_SYSTEM 0)
    set(lws_script ${CMAKE_SOURCE_DIR}/packaging/deps/build-lws)
    get_filename_component(lws_compiler ${CMAKE_C_COMPILER} NAME)
    string(REGEX REPLACE "[^A-Za-z0-9]+" "-" lws_key "lws-${lws_compiler}-${FRYS_SANITIZE}")
    string(REGEX REPLACE "-$" "" lws_key "${lws_key}")
    set(lws_prefix ${CMAKE_SOURCE_DIR}/build/deps/${lws_key})

    execute_process(
        COMMAND ${lws_script} ${lws_prefix} --cc ${CMAKE_C_COMPILER} --sanitize "${FRYS_SANITIZE}"
        RESULT_VARIABLE lws_failed ERROR_VARIABLE lws_why)
    if(lws_failed)
        message(FATAL_ERROR "${lws_why}")
    endif()
    file(GLOB lws_patches CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/packaging/deps/lws-patches/*.patch)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${lws_script} ${lws_patches})
    include(${lws_prefix}/frys-lws.cmake)

    target_include_directories(frys_lws SYSTEM INTERFACE ${lws_prefix}/include)
    target_link_libraries(frys_lws INTERFACE ${lws_prefix}/lib/libwebsockets.a)
    foreach(lws_library mbedtls mbedx509 mbedcrypto uv z cap)
        find_library(FRYS_LIB_${lws_library} ${lws_library} REQUIRED)
        mark_as_advanced(FRYS_LIB_${lws_library})
        target_link_libraries(frys_lws INTERFACE ${FRYS_LIB_${lws_library}})
    endforeach()
    target_link_libraries(frys_lws INTERFACE Threads::Threads m)
elseif(FRYS_LWS STREQUAL "system")
    set(FRYS_LWS_SYSTEM 1)
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(FRYS_PC_LWS IMPORTED_TARGET libwebsockets>=4.3)
    if(NOT FRYS_PC_LWS_FOUND)
        message(FATAL_ERROR "FRYS_LWS=system needs libwebsockets-dev, version 4.3 or later; Debian "
            "has it from 13 on. FRYS_LWS=bundled builds one.")
    endif()
    pkg_check_modules(FRYS_PC_SSL REQUIRED IMPORTED_TARGET openssl)
    pkg_check_modules(FRYS_PC_UV REQUIRED IMPORTED_TARGET libuv)
    pkg_check_modules(FRYS_PC_ZLIB REQUIRED IMPORTED_TARGET zlib)
    set(FRYS_LWS_VERSION "${FRYS_PC_LWS_VERSION} (system)")
    set(FRYS_LWS_TLS_VERSION "OpenSSL ${FRYS_PC_SSL_VERSION}")
    set(FRYS_LWS_UV_VERSION "${FRYS_PC_UV_VERSION}")

    # Distributions ship what joins the library to libuv as a plugin that it loads when it starts.
    find_library(FRYS_LWS_EVLIB_UV NAMES websockets-evlib_uv NO_CACHE)
    if(NOT FRYS_LWS_EVLIB_UV)
        message(WARNING "libwebsockets' plugin for libuv is not installed, frysd will not start "
            "without it: install libwebsockets-evlib-uv")
    endif()
    target_link_libraries(frys_lws INTERFACE
        PkgConfig::FRYS_PC_LWS PkgConfig::FRYS_PC_SSL PkgConfig::FRYS_PC_UV PkgConfig::FRYS_PC_ZLIB
        Threads::Threads)
else()
    message(FATAL_ERROR "FRYS_LWS is '${FRYS_LWS}', not bundled or system")
endif()

target_compile_definitions(frys_lws INTERFACE
    FRYS_LWS_SYSTEM=${FRYS_LWS_SYSTEM}
    FRYS_LWS_VERSION="${FRYS_LWS_VERSION}"
    FRYS_LWS_TLS_VERSION="${FRYS_LWS_TLS_VERSION}"
    FRYS_LWS_UV_VERSION="${FRYS_LWS_UV_VERSION}")
message(STATUS "libwebsockets ${FRYS_LWS_VERSION}, ${FRYS_LWS_TLS_VERSION}, libuv ${FRYS_LWS_UV_VERSION}")

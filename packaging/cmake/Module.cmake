# frys_module(NAME SOURCES a.c b.c [DEPENDS base mqtt] [PRIVATE libs...])
#
# One folder, one static library. Every tests/x_test.c, x_fuzz.c and x_bench.c beside it becomes a
# program linked with this module and its DEPENDS alone, so that a call to a layer it may not see is
# an undefined symbol. PRIVATE libraries are seen by this folder's own sources only.
#
#   tests/x_test.c   CUnit program NAME_x_test, registered with ctest
#   tests/x_fuzz.c   FRYS_FUZZ=ON: libFuzzer program NAME_x_fuzz; otherwise a program that replays
#                    the corpus tests/corpus/x/ and is registered with ctest
#   tests/x_bench.c  program NAME_x_bench, not registered
#   tests/*_support.c  linked to all of them
#
# BUILD_TESTING=OFF: the library only.
if(BUILD_TESTING)
    find_library(CUNIT_LIBRARY cunit REQUIRED)
endif()

function(frys_module name)
    cmake_parse_arguments(M "" "" "SOURCES;DEPENDS;PRIVATE" ${ARGN})
    add_library(${name} STATIC ${M_SOURCES})
    target_link_libraries(${name} PUBLIC frys_options ${M_DEPENDS} PRIVATE ${M_PRIVATE})
    if(FRYS_FUZZ)
        target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
    endif()

    if(NOT BUILD_TESTING)
        return()
    endif()
    set(dir ${CMAKE_CURRENT_SOURCE_DIR}/tests)
    file(GLOB support CONFIGURE_DEPENDS ${dir}/*_support.c)
    if(support)
        add_library(${name}_support STATIC ${support})
        target_link_libraries(${name}_support PUBLIC ${name} PRIVATE ${M_PRIVATE})
        set_target_properties(${name}_support PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
    endif()
    foreach(kind test fuzz bench)
        file(GLOB programs CONFIGURE_DEPENDS ${dir}/*_${kind}.c)
        foreach(source ${programs})
            get_filename_component(stem ${source} NAME_WE)
            set(program ${name}_${stem})
            add_executable(${program} ${source})
            target_link_libraries(${program} PRIVATE
                $<TARGET_NAME_IF_EXISTS:${name}_support> ${name} ${M_PRIVATE} ${CUNIT_LIBRARY})
            if(NOT kind STREQUAL bench)
                set_target_properties(${program} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
                target_link_options(${program} PRIVATE -fno-lto) # of the libraries' objects
            endif()
            cmake_language(CALL frys_${kind}_program ${program} ${stem})
        endforeach()
    endforeach()
endfunction()

function(frys_test_program program stem)
    add_test(NAME ${program} COMMAND ${program})
    set_tests_properties(${program} PROPERTIES TIMEOUT 300 LABELS unit)
endfunction()

function(frys_fuzz_program program stem)
    string(REGEX REPLACE "_fuzz$" "" what ${stem})
    set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/tests/corpus/${what})
    if(FRYS_FUZZ)
        target_compile_options(${program} PRIVATE -fsanitize=fuzzer)
        target_link_options(${program} PRIVATE -fsanitize=fuzzer)
    else()
        target_sources(${program} PRIVATE ${CMAKE_SOURCE_DIR}/base/tests/replay.c)
        add_test(NAME ${program} COMMAND ${program} ${corpus})
        set_tests_properties(${program} PROPERTIES TIMEOUT 300 LABELS unit)
    endif()
endfunction()

function(frys_bench_program program stem)
endfunction()

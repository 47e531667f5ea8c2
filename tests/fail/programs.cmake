# The programs whose calls to the system fail one after the other (test_fail.py, run): the library,
# the examples, the command and scenarios.c, each with its calls turned to shim.c. How and why:
# see there.
set(fail "${CMAKE_CURRENT_SOURCE_DIR}/fail")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${fail}/calls.def")
file(STRINGS "${fail}/calls.def" calls REGEX "^(CALL|TRACK)\\(")
list(TRANSFORM calls REPLACE "^[A-Z]+\\(([a-z0-9_]+).*" "\\1 fail_\\1")
list(JOIN calls "\n" calls)
file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/fail/calls" CONTENT "${calls}\n")

# One object of these, whose calls go to the shim.
function(turn_calls objects output)
    add_custom_command(OUTPUT "${output}"
        COMMAND ${CMAKE_LINKER} -r -o "${output}" $<TARGET_OBJECTS:${objects}>
        COMMAND ${CMAKE_OBJCOPY} "--redefine-syms=${CMAKE_CURRENT_BINARY_DIR}/fail/calls" "${output}"
        DEPENDS ${objects} $<TARGET_OBJECTS:${objects}> "${CMAKE_CURRENT_BINARY_DIR}/fail/calls"
        COMMENT "Turning the calls of ${objects} to the shim"
        COMMAND_EXPAND_LISTS VERBATIM)
endfunction()

set(failing_library "${CMAKE_CURRENT_BINARY_DIR}/fail/library.o")
turn_calls(salut_objects "${failing_library}")
add_custom_target(failing_library DEPENDS "${failing_library}")
add_library(fail_shim OBJECT fail/shim.c)
target_include_directories(fail_shim PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")

# A program of these objects with the failing library.
function(link_failing name)
    add_executable(fail_${name} ${ARGN} "${failing_library}" $<TARGET_OBJECTS:fail_shim>)
    add_dependencies(fail_${name} failing_library)
    target_link_libraries(fail_${name} PRIVATE Threads::Threads m)
    target_link_options(fail_${name} PRIVATE -rdynamic)
    set_target_properties(fail_${name} PROPERTIES LINKER_LANGUAGE C
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fail")
endfunction()

# One whose own calls fail too.
function(add_failing name)
    set(object "${CMAKE_CURRENT_BINARY_DIR}/fail/${name}.o")
    add_library(fail_${name}_objects OBJECT ${ARGN})
    target_include_directories(fail_${name}_objects PRIVATE "${PROJECT_SOURCE_DIR}/include"
        "${PROJECT_SOURCE_DIR}/src" "${CMAKE_CURRENT_SOURCE_DIR}")
    turn_calls(fail_${name}_objects "${object}")
    link_failing(${name} "${object}")
endfunction()

foreach(source IN LISTS examples)
    cmake_path(GET source STEM name)
    add_failing(${name} "${source}")
endforeach()
add_failing(salut ${command_sources})
add_failing(scenarios fail/scenarios.c)

# The tests themselves, over the failing library (tests/fail/run --tests builds them). What
# test_views counts is not the shim's to turn.
add_custom_target(failing_tests)
foreach(source IN LISTS programs)
    cmake_path(GET source STEM name)
    if(NOT name STREQUAL "test_views")
        link_failing(${name} $<TARGET_OBJECTS:${name}>)
        target_link_libraries(fail_${name} PRIVATE "${CMOCKA_LIBRARY}")
        set_target_properties(fail_${name} PROPERTIES EXCLUDE_FROM_ALL ON)
        add_dependencies(failing_tests fail_${name})
    endif()
endforeach()

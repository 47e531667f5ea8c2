# simulated.cmake: programs that were written for the real network, built for the simulated one.

# The behaviours again, on the simulated network: without fortify, whose inline functions would
# call the system after all.
add_executable(behaviours_simulated semantics/behaviours.c semantics/simulated.c)
target_link_libraries(behaviours_simulated PRIVATE salut_objects m)
set(redirected main=behaviours_main)
foreach(call setsockopt getsockopt poll socket bind open close access unlink)
    list(APPEND redirected ${call}=simulated_${call})
endforeach()
set_source_files_properties(semantics/behaviours.c PROPERTIES
    COMPILE_DEFINITIONS "${redirected}" COMPILE_OPTIONS "-U_FORTIFY_SOURCE;-Wno-pedantic")

# The examples and the command as they are, but for the names of their main(), and of what belongs to
# a process, of which there are several here.
add_executable(programs_simulated sim/programs.c sim/process.c sim/scenes_greeting.c
    sim/scenes_crowd.c sim/scenes_command.c sim/scenes_alone.c)
target_link_libraries(programs_simulated PRIVATE salut_objects)
target_include_directories(programs_simulated PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
set(of_a_process malloc=process_malloc calloc=process_calloc free=process_free
    write=process_write read=process_read
    salut_channel_create=process_channel_create salut_channel_free=process_channel_free)
function(add_simulated_program name)
    add_library(simulated_${name} OBJECT ${ARGN})
    target_include_directories(simulated_${name} PRIVATE "${PROJECT_SOURCE_DIR}/include"
        "${PROJECT_SOURCE_DIR}/src")
    target_compile_definitions(simulated_${name} PRIVATE main=${name}_main ${of_a_process})
    target_compile_options(simulated_${name} PRIVATE -U_FORTIFY_SOURCE
        -include "${CMAKE_CURRENT_SOURCE_DIR}/sim/process.h")
    target_sources(programs_simulated PRIVATE $<TARGET_OBJECTS:simulated_${name}>)
endfunction()
foreach(name serveur client echo_many chat udp unix timeout)
    add_simulated_program(${name} "${PROJECT_SOURCE_DIR}/examples/${name}.c")
endforeach()
add_simulated_program(salut ${command_sources})

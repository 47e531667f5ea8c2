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

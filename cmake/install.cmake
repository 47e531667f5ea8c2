# What `cmake --install` lays out, and how another project finds it: pkg-config's salut.pc and
# find_package(salut), whose targets are salut::salut (shared) and salut::static. Both find their
# files from where they lie, so an installed copy may be moved.
include(CMakePackageConfigHelpers)

install(TARGETS salut_shared salut_static EXPORT salut)
install(FILES include/salut.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/include/salut")
    install(DIRECTORY include/salut DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/salut")
configure_file(cmake/salut-config.cmake.in salut-config.cmake @ONLY)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/salut-config-version.cmake"
    COMPATIBILITY SameMinorVersion) # until 1.0 a minor version may change a word
install(EXPORT salut NAMESPACE salut:: FILE salut-targets.cmake DESTINATION ${package_dir})
install(FILES "${PROJECT_BINARY_DIR}/salut-config.cmake"
    "${PROJECT_BINARY_DIR}/salut-config-version.cmake" DESTINATION ${package_dir})

file(RELATIVE_PATH prefix_from_pc "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" prefix_from_pc "${prefix_from_pc}")
configure_file(cmake/salut.pc.in salut.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/salut.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

foreach(section 1 3)
    file(GLOB manual CONFIGURE_DEPENDS doc/man/*.${section})
    install(FILES ${manual} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
# A page that tells of several words is found by each of their names.
foreach(page IN LISTS manual)
    cmake_path(GET page FILENAME file)
    file(STRINGS "${page}" names REGEX "^\\.Nm salut_")
    list(TRANSFORM names REPLACE "^\\.Nm (salut_[a-z_]+).*" "\\1.3")
    list(REMOVE_ITEM names "${file}")
    list(REMOVE_DUPLICATES names)
    foreach(name IN LISTS names)
        install(CODE "file(CREATE_LINK \"${file}\" \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/man3/${name}\" SYMBOLIC)")
    endforeach()
endforeach()
install(FILES ${examples} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Compiles po/<language>.po to <build>/locale/<language>/LC_MESSAGES/salut.mo and installs it.
# Without msgfmt (package gettext) the command speaks English.
file(GLOB translations CONFIGURE_DEPENDS po/*.po)
find_program(MSGFMT msgfmt)
mark_as_advanced(MSGFMT)
if(translations AND MSGFMT)
    set(compiled)
    foreach(source IN LISTS translations)
        cmake_path(GET source STEM language)
        set(directory "${PROJECT_BINARY_DIR}/locale/${language}/LC_MESSAGES")
        file(MAKE_DIRECTORY "${directory}")
        add_custom_command(OUTPUT "${directory}/salut.mo"
            COMMAND ${MSGFMT} --check -o "${directory}/salut.mo" "${source}"
            DEPENDS "${source}" VERBATIM)
        list(APPEND compiled "${directory}/salut.mo")
    endforeach()
    add_custom_target(translations ALL DEPENDS ${compiled})
    add_dependencies(product translations)
    install(DIRECTORY "${PROJECT_BINARY_DIR}/locale/" DESTINATION ${CMAKE_INSTALL_LOCALEDIR})
endif()

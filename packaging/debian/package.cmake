# The Debian package: `cpack -G DEB --config build/release/CPackConfig.cmake` makes it of the built program.
# Not a mailbox. Debian wants an address; whoever publishes the package puts in their own.
set(CPACK_PACKAGE_CONTACT "palier maintainers <maintainers@palier.invalid>")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(PALIER_DEBIAN_VERSION ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})

set(changelog ${CMAKE_CURRENT_BINARY_DIR}/debian/changelog)
configure_file(debian/changelog.in ${changelog} @ONLY)
palier_gzip(${changelog} ${changelog}.Debian.gz)
list(APPEND packed_files ${changelog}.Debian.gz)

set(documents ${CMAKE_INSTALL_DATADIR}/doc/palier)
install(FILES ${changelog}.Debian.gz debian/copyright DESTINATION ${documents} COMPONENT debian EXCLUDE_FROM_ALL)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/conf/ DESTINATION ${documents}/examples COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES systemd/palier.service DESTINATION lib/systemd/system COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES debian/palier.toml DESTINATION /etc/palier COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES logrotate/palier DESTINATION /etc/logrotate.d COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES debian/lintian-overrides DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME palier
    COMPONENT debian EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME palier)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
# All of them in one package, also those that a plain `cmake --install` leaves out.
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_COMPONENTS_ALL program manual completions debian)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION httpd)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, logrotate")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"palier is the edge proxy in front of a few web servers. It speaks HTTP/2 and
HTTP/1.1, encrypted or in plain, picks a server for each request, asks every
server how it is, and tries another one when one fails and that is safe.

Servers are drained, updated and put back, the configuration is loaded again
and palier itself is replaced by commands, without one failed request.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${CMAKE_CURRENT_SOURCE_DIR}/debian/conffiles
    ${CMAKE_CURRENT_SOURCE_DIR}/debian/postinst
    ${CMAKE_CURRENT_SOURCE_DIR}/debian/prerm
    ${CMAKE_CURRENT_SOURCE_DIR}/debian/postrm)
include(CPack)

//! Shared libraries of servers: where vendors put those they bring, and where those come from that
//! they do not bring. Looks at no file.

/// Where vendors put the libraries they bring, below the release's top directory.
pub const LIBRARY_DIRECTORIES: [&str; 5] = [
    "lib",
    "lib64",
    "lib/private",
    "lib/mysql",
    "lib/mysql/private",
];

/// Where builder links the libraries that this system has under another name, below the release's top
/// directory.
pub const LINKED_LIBRARIES: &str = "lib/linked";

/// Names of libraries that servers ask for, and the name under which newer systems have the very same.
pub const RENAMED_LIBRARIES: [(&str, &str); 1] = [("libaio.so.1", "libaio.so.1t64")];

/// What every system has: the C library, in its parts.
const EVERYWHERE: [&str; 9] = [
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "librt.so.1",
    "libpthread.so.0",
    "libresolv.so.2",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Which Debian or Ubuntu package has a library that servers need: older releases' name first,
/// since the 64-bit time transition's `t64` names came later.
const PACKAGES: [(&str, &str); 25] = [
    (
        "libaio.so.1",
        "libaio1, or libaio1t64 from Debian 13 and Ubuntu 24.04 on",
    ),
    ("libaio.so.1t64", "libaio1t64"),
    ("libnuma.so.1", "libnuma1"),
    ("libncurses.so.5", "libncurses5"),
    ("libtinfo.so.5", "libtinfo5"),
    ("libncurses.so.6", "libncurses6"),
    ("libtinfo.so.6", "libtinfo6"),
    ("libssl.so.1.1", "libssl1.1"),
    (
        "libssl.so.3",
        "libssl3, or libssl3t64 from Debian 13 and Ubuntu 24.04 on",
    ),
    (
        "libcrypto.so.3",
        "libssl3, or libssl3t64 from Debian 13 and Ubuntu 24.04 on",
    ),
    ("liburing.so.2", "liburing2"),
    ("libsnappy.so.1", "libsnappy1v5"),
    ("libpcre2-8.so.0", "libpcre2-8-0"),
    ("libcrypt.so.1", "libcrypt1"),
    ("libsystemd.so.0", "libsystemd0"),
    ("libstdc++.so.6", "libstdc++6"),
    ("libz.so.1", "zlib1g"),
    ("liblz4.so.1", "liblz4-1"),
    ("libzstd.so.1", "libzstd1"),
    ("liblzma.so.5", "liblzma5"),
    ("libbz2.so.1.0", "libbz2-1.0"),
    ("libedit.so.2", "libedit2"),
    ("libpam.so.0", "libpam0g"),
    ("libsasl2.so.2", "libsasl2-2"),
    ("libodbc.so.2", "libodbc2"),
];

/// The Debian or Ubuntu package that has `library`, as advice.
#[must_use]
pub fn package_of(library: &str) -> Option<&'static str> {
    PACKAGES
        .iter()
        .find(|(name, _)| *name == library)
        .map(|(_, package)| *package)
}

/// Whether systems are known to have `library`, or a package that does.
#[must_use]
pub fn is_system_library(library: &str) -> bool {
    EVERYWHERE.contains(&library) || package_of(library).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_of_known_libraries() {
        assert_eq!(package_of("libnuma.so.1"), Some("libnuma1"));
        assert_eq!(package_of("libx.so.9"), None);
    }

    #[test]
    fn is_system_library_of_each_kind() {
        assert!(is_system_library("libc.so.6"));
        assert!(is_system_library("libaio.so.1"));
        assert!(!is_system_library("libprotobuf-lite.so.3.19.4"));
    }
}

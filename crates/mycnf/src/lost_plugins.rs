//! Authentication plugins that MySQL had once: an account that has one cannot log in any more, and nobody
//! says so. After the manuals' lists of what was removed. MariaDB has kept all of its own.

use crate::server::{Family, Series, Server, Version};

/// The plugin, and the option of the same name that switches it on where it is off by default.
pub const NATIVE_PASSWORD: &str = "mysql_native_password";

/// Each plugin and the first release without it.
const REMOVED: [(&str, Version); 3] = [
    ("mysql_old_password", Version::new(5, 7, 5)),
    ("authentication_fido", Version::new(8, 4, 0)),
    (NATIVE_PASSWORD, Version::new(9, 0, 0)),
];

/// Whether `server` has [`NATIVE_PASSWORD`] only where an option says so.
#[must_use]
pub fn has_native_switch(server: &Server) -> bool {
    server.flavour.family() == Family::MySql && server.version.series() == Series(8, 4)
}

/// Whether `server` has no `plugin` any more. `native` says that the option switches it on.
#[must_use]
pub fn is_lost(plugin: &str, server: &Server, native: bool) -> bool {
    if server.flavour.family() != Family::MySql {
        return false;
    }
    if plugin == NATIVE_PASSWORD && has_native_switch(server) {
        return !native;
    }
    REMOVED
        .iter()
        .any(|(name, release)| *name == plugin && server.version >= *release)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Flavour;

    #[test]
    fn is_lost_follows_the_manuals() {
        for (plugin, flavour, version, native, expected) in [
            (NATIVE_PASSWORD, Flavour::MySql, "8.0.46", false, false),
            (NATIVE_PASSWORD, Flavour::MySql, "8.3.0", false, false),
            (NATIVE_PASSWORD, Flavour::MySql, "8.4.6", false, true),
            (NATIVE_PASSWORD, Flavour::Percona, "8.4.6", true, false),
            (NATIVE_PASSWORD, Flavour::MySql, "9.7.4", true, true),
            (NATIVE_PASSWORD, Flavour::MySql, "26.10.0", false, true),
            (NATIVE_PASSWORD, Flavour::MariaDb, "11.8.9", false, false),
            ("sha256_password", Flavour::MySql, "9.7.4", false, false),
            (
                "authentication_fido",
                Flavour::MySql,
                "8.0.46",
                false,
                false,
            ),
            ("authentication_fido", Flavour::MySql, "8.4.0", false, true),
            ("mysql_old_password", Flavour::MySql, "5.7.22", false, true),
        ] {
            let server = Server {
                basedir: "/r".into(),
                executable: "/r/bin/mysqld".into(),
                flavour,
                version: Version::parse(version).unwrap(),
            };
            let lost = is_lost(plugin, &server, native);
            assert_eq!(lost, expected, "{plugin} in {server}, {native}");
        }
    }
}

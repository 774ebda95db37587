//! From the user's my.cnf to the option file that the server and every client get: what the
//! platform decides is replaced, what the user left open is filled in, the rest stays as it is.

mod logs;

pub use logs::{BINARY_LOG, is_binary_log_index};

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::data_dir::undo_tablespaces;
use crate::memory::Sized;
use crate::{
    Flavour, IncludeError, Layout, Memory, MemoryPlan, OptionFile, Persisted, Place, Resolved,
    Value, Version,
};

/// What a rendering depends on besides the user's file.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Every path.
    pub layout: &'a Layout,
    /// The port the platform gave us.
    pub port: u16,
    /// Whose server will read the file.
    pub flavour: Flavour,
    /// Which version of it.
    pub version: Version,
    /// An address to bind that overrules the user's my.cnf.
    pub bind_address: Option<&'a str>,
    /// How much memory the server may take.
    pub memory: Memory,
    /// What the database's server reads after the option file.
    pub persisted: &'a Persisted,
    /// From how many seconds on a statement is slow, if there is to be a log of them.
    pub slow_log: Option<&'a str>,
    /// Every change is to be kept in binary logs, so that the database can be brought to any point in time.
    pub keeps_changes: bool,
}

impl Settings<'_> {
    /// Whether the release makes no certificate by itself, which MySQL from 5.7.6 and MariaDB from
    /// 11.4 do.
    fn has_no_certificate(&self) -> bool {
        let first = match self.flavour {
            Flavour::MySql | Flavour::Percona => Version::new(5, 7, 6),
            Flavour::MariaDb => Version::new(11, 4, 0),
        };
        self.version < first
    }
}

/// The option file to write, and what was decided for it.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The file.
    pub file: OptionFile,
    /// Each value that was chosen or found, for narration.
    pub choices: Vec<Choice>,
    /// What the user's file and everything it includes set.
    pub user: Resolved,
    /// What the server's memory is for, and whether it fits.
    pub memory: MemoryPlan,
    /// Options of the user's that do not count, because they are persisted otherwise.
    pub overruled: Vec<(String, Place)>,
}

/// One option's value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The option.
    pub option: &'static str,
    /// Its value; not a secret.
    pub value: String,
    /// Who chose it.
    pub origin: Origin,
}

/// Who chose a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We did, because the user's file says nothing.
    Added {
        /// The reason, as in the file.
        why: &'static str,
    },
    /// We did, whatever the user's file says.
    Imposed {
        /// The reason, as in the file.
        why: &'static str,
        /// The line of the user's that does not count.
        instead_of: Option<Place>,
    },
    /// `SET PERSIST` did.
    Persisted {
        /// The file that keeps it.
        path: PathBuf,
        /// The line of the user's that does not count.
        instead_of: Option<Place>,
    },
    /// The user did, in their file or one that it includes.
    Kept {
        /// The line.
        place: Place,
    },
}

/// The group every server reads, where we add.
const MAIN_GROUP: &str = "mysqld";

/// The groups a server reads from its option file.
#[must_use]
pub fn server_groups(flavour: Flavour, version: Version) -> Vec<String> {
    let release = format!("{}.{}", version.major, version.minor);
    let mut groups = vec![
        MAIN_GROUP.to_owned(),
        "server".to_owned(),
        format!("mysqld-{release}"),
    ];
    if flavour == Flavour::MariaDb {
        groups.extend(["mariadb", "mariadbd", "client-server", "galera"].map(str::to_owned));
        groups.extend(["mariadb", "mariadbd"].map(|name| format!("{name}-{release}")));
    } else {
        groups.push("mysql_cluster".to_owned());
    }
    groups
}

/// Fills in `template`, the user's file, for `settings`. Reads what it includes.
pub fn render_my_cnf(
    template: &OptionFile,
    settings: &Settings<'_>,
) -> Result<Rendered, IncludeError> {
    let mut rendering = Rendering {
        template,
        user: template.resolve(settings.layout.home())?,
        server_groups: server_groups(settings.flavour, settings.version),
        file: template.clone(),
        choices: Vec::new(),
    };
    rendering.impose_port(settings.port);
    if let Some(address) = settings.bind_address {
        rendering.impose("bind-address", address.as_bytes(), BIND_ADDRESS_WHY);
    }
    rendering.fill_paths(settings.layout);
    rendering.fill_safety(settings);
    rendering.impose_slow_log(settings);
    if settings.keeps_changes {
        rendering.impose_binary_log(settings);
    }
    let memory = rendering.fill_memory(settings);
    rendering.fill_client(settings);
    let overruled = rendering.tell_persisted(settings);
    Ok(Rendered {
        file: rendering.file,
        choices: rendering.choices,
        user: rendering.user,
        memory,
        overruled,
    })
}

const PORT_WHY: &str =
    "given by the platform; this file is rendered at every start, edit the my.cnf you push";
const BIND_ADDRESS_WHY: &str = "from MYSQL_BIND_ADDRESS";

/// Where MariaDB's clients may be told whether to insist on TLS.
const MARIADB_CLIENT_GROUPS: [&str; 3] = ["client", "client-server", "client-mariadb"];

/// Groups that the clients read besides `[client]` and `[mysqladmin]`, which always get the port.
const OTHER_CLIENT_GROUPS: [&str; 7] = [
    "client-server",
    "client-mariadb",
    "mysql",
    "mysqldump",
    "mariadb-client",
    "mariadb-admin",
    "mariadb-dump",
];

/// Clients that send or take text, by the groups that MySQL's and MariaDB's read.
const UTF8_CLIENTS: [(&str, &str); 3] = [
    ("mysql", "mariadb-client"),
    ("mysqldump", "mariadb-dump"),
    ("mysqlimport", "mariadb-import"),
];

/// A rendering in the making. What the user set is looked up in the template and what it includes,
/// whose line numbers they know.
struct Rendering<'a> {
    template: &'a OptionFile,
    user: Resolved,
    server_groups: Vec<String>,
    file: OptionFile,
    choices: Vec<Choice>,
}

impl Rendering<'_> {
    fn impose_port(&mut self, port: u16) {
        let port = port.to_string();
        let port = port.as_bytes();
        self.impose("port", port, PORT_WHY);
        for group in ["client", "mysqladmin"] {
            self.file.set(group, "port", port, PORT_WHY);
            self.impose_over_includes(&[group], group, "port", (port, PORT_WHY));
        }
        for group in OTHER_CLIENT_GROUPS {
            if self.template.get(&[group], "port").is_some() {
                self.file.set(group, "port", port, PORT_WHY);
            }
            self.impose_over_includes(&[group], group, "port", (port, PORT_WHY));
        }
    }

    /// `option` in `main` at the end of the file as well, if something included sets it in `groups`.
    fn impose_over_includes(
        &mut self,
        groups: &[&str],
        main: &str,
        option: &str,
        (value, why): (&[u8], &str),
    ) {
        if self.user.is_included(self.template, groups, option) {
            self.file.set_last(main, option, value, why);
        }
    }

    fn fill_paths(&mut self, layout: &Layout) {
        for (option, path, why) in [
            ("basedir", layout.install(), "the current release"),
            ("datadir", layout.data_dir(), "survives a push"),
            (
                "socket",
                layout.socket(),
                "outside ~/data: a stale one would travel",
            ),
            (
                "pid-file",
                layout.pid_file(),
                "outside ~/data: a stale one would travel",
            ),
            (
                "log-error",
                layout.error_log(),
                "survives a push, outside the data directory",
            ),
        ] {
            self.fill(option, option, path.as_os_str().as_bytes(), why);
        }
    }

    fn fill_safety(&mut self, settings: &Settings<'_>) {
        let Settings {
            layout, version, ..
        } = *settings;
        let mysql = settings.flavour != Flavour::MariaDb;
        if !mysql || version < Version::new(5, 7, 7) {
            let why = "this server leaves the binary log to the system's cache otherwise: power \
                       lost, commits lost";
            self.fill("sync-binlog", "sync-binlog", b"1", why);
        }
        if mysql && version >= Version::new(5, 7, 6) {
            let why = "as in the vendor's tarballs; other builds refuse to start without their \
                       package's /var/lib/mysql-files";
            self.fill("secure-file-priv", "secure-file-priv", b"NULL", why);
        }
        if !mysql || version < Version::new(5, 7, 6) {
            let why =
                "whoever has the FILE privilege would write and read files wherever the server may";
            let path = layout.tmp_dir();
            self.fill(
                "secure-file-priv",
                "secure-file-priv",
                path.as_os_str().as_bytes(),
                why,
            );
        }
        if mysql && version >= Version::new(8, 0, 11) {
            self.fill_x_plugin(layout);
        }
        // A directory that is mounted for any user, above the pid file: no other place would do.
        if mysql && version >= Version::new(8, 0, 13) && layout.is_sealed() {
            let option = "log-error-suppression-list";
            let why = "the run directory is mounted for whatever user the container has";
            self.fill(option, option, b"MY-011810", why);
        }
        if mysql && version >= Version::new(8, 0, 0) && !settings.keeps_changes {
            self.fill_binary_log(layout);
        }
        if !mysql && version >= Version::new(11, 0, 0) {
            self.fill_undo_tablespaces(layout);
        }
    }

    /// MariaDB gives an existing database as many undo tablespaces as the option says when it starts (3
    /// by default from 11.0 on; in 10.11 there are none). Killed meanwhile, it leaves a database that it
    /// cannot open again (11.8.9).
    fn fill_undo_tablespaces(&mut self, layout: &Layout) {
        let option = "innodb-undo-tablespaces";
        let data_dir = self.user_set("datadir").and_then(|found| found.value);
        let data_dir = data_dir.map_or(layout.data_dir(), |path| OsStr::from_bytes(&path).into());
        let elsewhere = self.user_set("innodb-undo-directory").is_some();
        if let Some(number) = undo_tablespaces(&data_dir).filter(|_| !elsewhere) {
            let why =
                "what the database has; a kill while the server changes it loses the database";
            self.fill(option, option, number.to_string().as_bytes(), why);
        }
    }

    /// The X plugin is on by default from 8.0.11, on port 33060 of every interface, for which the
    /// platform has given us no port. Whoever sets any of its addresses wants it.
    fn fill_x_plugin(&mut self, layout: &Layout) {
        let wanted = ["mysqlx-port", "mysqlx-bind-address", "mysqlx-socket"]
            .iter()
            .any(|option| self.user_set(option).is_some());
        // `loose-`: a server may be built without the plugin.
        if !wanted {
            let why = "the X protocol would listen on port 33060 of every interface";
            self.fill("mysqlx", "loose-mysqlx", b"0", why);
        }
        if wanted || self.user_set("mysqlx").is_some() {
            let socket = layout.run_dir().join("mysqlx.sock");
            let why = "the default is one in /tmp for all servers of the machine";
            let socket = socket.as_os_str().as_bytes();
            self.fill("mysqlx-socket", "loose-mysqlx-socket", socket, why);
        }
    }

    fn fill_memory(&mut self, settings: &Settings<'_>) -> MemoryPlan {
        let Settings {
            flavour,
            version,
            memory,
            ..
        } = *settings;
        let persisted = counting(settings, &self.user, &self.server_groups);
        let plan = MemoryPlan::new(flavour, version, memory, |option| {
            let user = self.user_set(option);
            match persisted.and_then(|persisted| persisted.get(option)) {
                None => user,
                Some(value) => Some(Value {
                    name: option.as_bytes().to_vec(),
                    value: Some(value.as_bytes().to_vec()),
                    group: MAIN_GROUP.as_bytes().to_vec(),
                    place: Place {
                        path: settings.persisted.path().to_owned(),
                        line: 1,
                    },
                }),
            }
        });
        for Sized { option, value, why } in &plan.options {
            self.fill(option, option, value.as_bytes(), why);
        }
        // Before, the default is the same.
        if flavour != Flavour::MariaDb && version >= Version::new(8, 4, 0) {
            let why = "temporary tables beyond temptable-max-ram are files in tmpdir; without, some \
                       queries find theirs missing (ERROR 1146)";
            self.fill("temptable-max-mmap", "temptable-max-mmap", b"1G", why);
        }
        plan
    }

    /// What was decided in vain, and what the user set in vain.
    fn tell_persisted(&mut self, settings: &Settings<'_>) -> Vec<(String, Place)> {
        let Some(persisted) = counting(settings, &self.user, &self.server_groups) else {
            return Vec::new();
        };
        for choice in &mut self.choices {
            if let Some(value) = persisted.get(choice.option) {
                value.clone_into(&mut choice.value);
                let instead_of = match &choice.origin {
                    Origin::Kept { place } => Some(place.clone()),
                    Origin::Added { .. } | Origin::Imposed { .. } | Origin::Persisted { .. } => {
                        None
                    }
                };
                choice.origin = Origin::Persisted {
                    path: persisted.path().to_owned(),
                    instead_of,
                };
            }
        }
        let told = |name: &str| self.choices.iter().any(|choice| choice.option == name);
        let others = persisted.names().filter(|name| !told(name));
        let others = others.filter_map(|name| Some((name.to_owned(), self.user_set(name)?.place)));
        others.collect()
    }

    fn fill_client(&mut self, settings: &Settings<'_>) {
        let layout = settings.layout;
        if self.user.get(&["client"], "socket").is_none() {
            let server_socket = self.user_set("socket").and_then(|found| found.value);
            let socket = match server_socket {
                // A relative one is relative to the server's data directory.
                Some(socket) => layout.data_dir().join(OsStr::from_bytes(&socket)),
                None => layout.socket(),
            };
            let why = "the server's";
            self.file
                .set("client", "socket", socket.as_os_str().as_bytes(), why);
        }
        self.fill_character_set();
        if settings.has_no_certificate()
            && self
                .user
                .get(&MARIADB_CLIENT_GROUPS, "ssl-verify-server-cert")
                .is_none()
        {
            let why =
                "MariaDB's clients from 11.4 on insist on TLS, which this server does not have";
            let option = "loose-ssl-verify-server-cert";
            self.file.set("client-mariadb", option, "0", why);
        }
        let why = "root's name and password for the clients";
        self.file.add_include(&includable(layout), why);
    }

    /// The vendors' clients take the character set of the locale, or their own default of old, and the
    /// server believes them. Not in `[client]`: some of the tools that read it do not know the option.
    fn fill_character_set(&mut self) {
        let why = "text is UTF-8, whatever the locale";
        let option = "default-character-set";
        for (group, others) in UTF8_CLIENTS {
            let all = ["client", "client-server", "client-mariadb", group, others];
            if self.user.get(&all, option).is_none() {
                self.file.set(group, option, "utf8mb4", why);
            }
        }
    }

    /// What the user set `option` to for the server.
    fn user_set(&self, option: &str) -> Option<Value> {
        self.user.get(&names(&self.server_groups), option)
    }

    /// `option` for the server, whatever the user's file says, in every group it says it.
    fn impose(&mut self, option: &'static str, value: &[u8], why: &'static str) {
        let instead_of = self
            .user_set(option)
            .filter(|found| found.value.as_deref() != Some(value))
            .map(|found| found.place);
        let groups = self.server_groups.clone();
        for group in &groups {
            if group == MAIN_GROUP || self.template.get(&[group], option).is_some() {
                self.file.set(group, option, value, why);
            }
        }
        self.impose_over_includes(&names(&groups), MAIN_GROUP, option, (value, why));
        self.choose(option, value, Origin::Imposed { why, instead_of });
    }

    /// `option` for the server, spelled `spelling`, unless the user's file has it.
    fn fill(&mut self, option: &'static str, spelling: &str, value: &[u8], why: &'static str) {
        if let Some(found) = self.user_set(option) {
            let value = found.value.unwrap_or_default();
            self.choose(option, &value, Origin::Kept { place: found.place });
        } else {
            self.file.set(MAIN_GROUP, spelling, value, why);
            self.choose(option, value, Origin::Added { why });
        }
    }

    fn choose(&mut self, option: &'static str, value: &[u8], origin: Origin) {
        self.choices.push(Choice {
            option,
            value: String::from_utf8_lossy(value).into_owned(),
            origin,
        });
    }
}

/// What is persisted, if the server reads it (MySQL from 8.0 on).
fn counting<'a>(
    settings: &Settings<'a>,
    user: &Resolved,
    server_groups: &[String],
) -> Option<&'a Persisted> {
    let reads = settings.flavour != Flavour::MariaDb && settings.version >= Version::new(8, 0, 0);
    let switch = user.get(&names(server_groups), "persisted-globals-load");
    let switch = switch.and_then(|found| found.value).unwrap_or_default();
    let off = ["0", "off", "false"].map(str::as_bytes);
    let off = off.contains(&switch.to_ascii_lowercase().as_slice());
    (reads && !off).then_some(settings.persisted)
}

fn names(groups: &[String]) -> Vec<&str> {
    groups.iter().map(String::as_str).collect()
}

/// The credentials file's path for `!include`, which has no quotes: a line break ends it, and for
/// MySQL 8 and later so does a `#`. Such a home directory is left to the client's own `$HOME`.
fn includable(layout: &Layout) -> PathBuf {
    let path = layout.credentials();
    if path
        .as_os_str()
        .as_bytes()
        .iter()
        .any(|byte| matches!(byte, b'#' | b'\n' | b'\r'))
    {
        let below_home = path.strip_prefix(layout.home()).unwrap_or(&path);
        return Path::new("~").join(below_home);
    }
    path
}

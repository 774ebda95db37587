//! `dotcloud.yml`: what the application asks the platform for. Reads and checks it; every problem
//! is reported at once, with its line and column. Builds and starts nothing.

mod command;
mod dictionary;
mod problem;
mod service;
mod tree;

pub(crate) use dictionary::{dictionary_variables, outer_text};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::port::{PortCheck, PortKind};

pub(crate) use command::suspicion;
use problem::Problems;

/// The application's services, as its build file declares them.
#[derive(Clone, Debug)]
pub(crate) struct BuildFile {
    /// By service name.
    pub(crate) services: BTreeMap<String, Service>,
}

/// One service of the build file, defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// `type`; always `custom` here.
    pub(crate) kind: String,
    /// Relative to the code root, without `..`.
    pub(crate) approot: PathBuf,
    /// Relative to the code root (not to `approot`), without `..`.
    pub(crate) buildscript: Option<String>,
    pub(crate) prebuild: Option<String>,
    pub(crate) postbuild: Option<String>,
    /// `None`: `./postinstall`, if it is there.
    pub(crate) postinstall: Option<String>,
    /// Copies what the service keeps, and brings it back; `None`: there are no backups.
    pub(crate) backup: Option<String>,
    /// Program name to command line; never empty.
    pub(crate) programs: BTreeMap<String, String>,
    pub(crate) ports: BTreeMap<String, PortKind>,
    /// What an instance has to pass to be reached at a port, by the port's name.
    pub(crate) checks: BTreeMap<String, PortCheck>,
    pub(crate) systempackages: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// At least 1. The initial count: `dotcloud scale` may have changed it since.
    pub(crate) instances: u32,
    /// Every key of the service, unknown ones and defaults included: the source of `SERVICE_*`.
    /// Scalars are strings, as they were written.
    pub(crate) dictionary: serde_json::Map<String, serde_json::Value>,
}

impl BuildFile {
    /// Reads and checks the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, BuildFileError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(source) => Err(BuildFileError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Checks `text`, the content of `path`.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, BuildFileError> {
        let mut problems = Problems::default();
        let services = service::read_all(text, &mut problems);
        if problems.is_empty() {
            return Ok(Self { services });
        }
        Err(BuildFileError::Invalid {
            path: path.to_owned(),
            count: problems.len(),
            excerpts: problems.render(path, text),
        })
    }
}

/// The build file cannot be used.
#[derive(Debug, Error)]
pub(crate) enum BuildFileError {
    /// It is absent or unreadable.
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Its content is wrong.
    #[error("{path} has {count} problem{s}", s = if *count == 1 { "" } else { "s" })]
    Invalid {
        path: PathBuf,
        count: usize,
        /// Each problem with its place, its line and the accepted form, for
        /// [`hook::Advice::detail`].
        excerpts: String,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<BuildFile, BuildFileError> {
        BuildFile::parse(Path::new("dotcloud.yml"), text)
    }

    fn service(keys: &str) -> Service {
        let text = format!("db:\n  type: custom\n{keys}");
        parse(&text).unwrap().services.remove("db").unwrap()
    }

    /// What is wrong, without the lines shown below each problem.
    fn problems(text: &str) -> Vec<String> {
        match parse(text) {
            Err(BuildFileError::Invalid { excerpts, .. }) => excerpts
                .lines()
                .filter_map(|line| line.strip_prefix("dotcloud.yml:"))
                .map(str::to_owned)
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parse_bare_custom_service_gets_the_defaults() {
        let service = service("");
        assert_eq!(service.name, "db");
        assert_eq!(service.kind, "custom");
        assert_eq!(service.approot, Path::new("."));
        assert_eq!(service.buildscript, None);
        assert_eq!(service.programs["db"], "~/run");
        assert_eq!(service.instances, 1);
        assert_eq!(
            json!(service.dictionary),
            json!({
                "approot": ".", "buildscript": "", "config": {}, "environment": {},
                "instances": "1", "name": "db", "ports": {}, "postbuild": "", "postinstall": "",
                "prebuild": "", "process": "", "processes": {}, "requirements": [],
                "systempackages": [], "type": "custom",
            })
        );
    }

    #[test]
    fn parse_every_key_is_read() {
        let text = "\
testbed:
  type: custom
  approot: testbed
  buildscript: testbed/builder
  prebuild: rm -f x
  postbuild: 42
  postinstall: ./postinstall
  backup: ~/backup
  process: ~/starttest
  ports: {testbeddb: tcp, www: http, log: udp}
  systempackages: [libaio-dev, 'libfoo=1.2~3']
  environment: {MODE: yes, EMPTY: ~, NUMBER: 007}
  config: {version: 5.10, nested: {a: [1, b]}}
  instances: 3
  version: 5.10
1:
  type: custom
  processes:
    web: ~/web --port $PORT_WWW
    worker: >
      ~/worker
      --verbose
";
        let services = parse(text).unwrap().services;
        let testbed = &services["testbed"];
        assert_eq!(testbed.approot, Path::new("testbed"));
        assert_eq!(testbed.buildscript.as_deref(), Some("testbed/builder"));
        assert_eq!(testbed.prebuild.as_deref(), Some("rm -f x"));
        assert_eq!(testbed.postbuild.as_deref(), Some("42"));
        assert_eq!(testbed.postinstall.as_deref(), Some("./postinstall"));
        assert_eq!(testbed.backup.as_deref(), Some("~/backup"));
        assert_eq!(testbed.programs["testbed"], "~/starttest");
        assert_eq!(testbed.ports["testbeddb"], PortKind::Tcp);
        assert_eq!(testbed.ports["www"], PortKind::Http);
        assert_eq!(testbed.ports["log"], PortKind::Udp);
        assert_eq!(testbed.systempackages, ["libaio-dev", "libfoo=1.2~3"]);
        let environment = [("EMPTY", ""), ("MODE", "yes"), ("NUMBER", "007")];
        assert!(
            testbed
                .environment
                .iter()
                .map(|(k, v)| (&**k, &**v))
                .eq(environment)
        );
        assert_eq!(testbed.instances, 3);
        assert_eq!(testbed.dictionary["version"], "5.10");
        assert_eq!(
            testbed.dictionary["config"],
            json!({"version": "5.10", "nested": {"a": ["1", "b"]}})
        );
        assert_eq!(services["1"].programs["web"], "~/web --port $PORT_WWW");
        assert_eq!(services["1"].programs["worker"], "~/worker --verbose");
        assert_eq!(services["1"].programs.len(), 2);
    }

    #[test]
    fn parse_several_problems_are_shown_at_once() {
        let text = "\
db:
  type: cutsom
  ports:
    mysql: tpc
  environment:
    DOTCLOUD_PASSWORD: hunter2
";
        let error = parse(text).unwrap_err();
        assert_eq!(error.to_string(), "dotcloud.yml has 3 problems");
        let BuildFileError::Invalid { excerpts, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(
            excerpts,
            "\
dotcloud.yml:2:9: 'cutsom' is not a type of service
      type: cutsom
            ^
  accepted: type: custom
dotcloud.yml:4:12: 'tpc' is not a kind of port
        mysql: tpc
               ^
  accepted: http, tcp or udp
dotcloud.yml:6:5: 'DOTCLOUD_PASSWORD' begins with DOTCLOUD_, which is the platform's
        DOTCLOUD_PASSWORD: ...
        ^
  accepted: letters, digits and underscores, not beginning with a digit or DOTCLOUD_
"
        );
    }

    #[test]
    fn parse_whole_file_unusable_is_refused() {
        let cases = [
            ("", "1:1: the file is empty"),
            ("# nothing\n", "1:1: the file is empty"),
            ("---\n", "2:1: the file is empty"),
            ("{}\n", "1:1: the file declares no service"),
            ("- db\n", "1:1: the file is a list"),
            ("db\n", "1:1: the file is a single value"),
            (
                "db: {type: custom}\n---\nx: 1\n",
                "3:1: a second document begins here",
            ),
            ("db:\n\ttype: custom\n", "2:1: a tab in the indentation"),
            ("db:\n  \ttype: custom\n", "2:3: a tab in the indentation"),
            ("[a]: {type: custom}\n", "1:1: a key is a list"),
        ];
        for (text, expected) in cases {
            assert_eq!(problems(text), [expected], "{text:?}");
        }
        assert!(problems("db: [\n")[0].contains("this is not YAML: "));
        let twice = problems("db:\n  type: custom\n  type: custom\n");
        let one = parse("db:\n").unwrap_err();
        assert_eq!(one.to_string(), "dotcloud.yml has 1 problem");
        assert_eq!(twice, ["3:3: this is not YAML: duplicated key in mapping"]);
    }

    #[test]
    fn parse_service_rules_are_enforced() {
        let cases = [
            // Names.
            ("Db: {type: custom}", "1:1: 'Db' is not a service name"),
            (
                "my-db: {type: custom}",
                "1:1: 'my-db' is not a service name",
            ),
            (
                "a2345678901234567: {type: custom}",
                "1:1: 'a2345678901234567' is not a service name",
            ),
            (
                "db: {type: custom}\n'db': {type: custom}",
                "2:1: 'db' is here twice",
            ),
            // Shape and type.
            ("db:", "1:3: service 'db' is empty"),
            ("db: custom", "1:5: service 'db' is a single value"),
            ("db: {approot: x}", "1:1: service 'db' has no type"),
            ("db: {type: ~}", "1:1: service 'db' has no type"),
            ("db: {type: [custom]}", "1:12: 'type' is a list"),
            (
                "db: {type: mysql}",
                "1:12: 'mysql' is a stock type of the platform, and only custom services run here",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(problems(text), [expected], "{text:?}");
        }
        assert_eq!(service("").name.len(), 2);
        assert!(
            parse("a_34567890123456: {type: custom}").is_ok(),
            "16 characters"
        );
    }

    #[test]
    fn parse_key_rules_are_enforced() {
        let cases = [
            (
                "approot: /srv",
                "3:12: 'approot' leaves the tree that is pushed",
            ),
            (
                "approot: a/../../b",
                "3:12: 'approot' leaves the tree that is pushed",
            ),
            ("approot: {a: b}", "3:12: 'approot' is a mapping"),
            (
                "buildscript: ../builder",
                "3:16: 'buildscript' leaves the tree that is pushed",
            ),
            ("prebuild: [a]", "3:13: 'prebuild' is a list"),
            (
                "postinstall: |\n    a\n    b",
                "4:5: 'postinstall' has more than one line",
            ),
            (
                "process: \"a\\0b\"",
                "3:12: 'process' contains a NUL character",
            ),
            ("process: {a: b}", "3:12: 'process' is a mapping"),
            ("processes: [a]", "3:14: 'processes' is a list"),
            ("processes: {a: ~}", "3:15: 'a' is empty"),
            ("processes: {../a: b}", "3:15: '../a' is not a program name"),
            (
                "process: a\n  processes: {b: c}",
                "3:3: service 'db' has both process and processes",
            ),
            ("ports: [tcp]", "3:10: 'ports' is a list"),
            ("ports: {a: sctp}", "3:14: 'sctp' is not a kind of port"),
            ("ports: {a-b: tcp}", "3:11: 'a-b' is not a port name"),
            ("ports: {a: tcp, A: tcp}", "3:19: a second port for PORT_A"),
            (
                "systempackages: libaio1",
                "3:19: 'systempackages' is a single value",
            ),
            (
                "systempackages: [-oX=y]",
                "3:20: '-oX=y' is not a package name",
            ),
            (
                "environment: {a-b: c}",
                "3:17: 'a-b' is not a variable name",
            ),
            ("environment: {A: [b]}", "3:20: 'A' is a list"),
            ("instances: 0", "3:14: '0' is not a number of instances"),
            ("instances: two", "3:14: 'two' is not a number of instances"),
            ("config: [a]", "3:11: 'config' is a list"),
            (
                "config: {<<: {a: b}}",
                "3:12: merge keys ('<<') are not supported",
            ),
        ];
        for (keys, expected) in cases {
            let text = format!("db:\n  type: custom\n  {keys}\n");
            assert_eq!(problems(&text), [expected], "{text}");
        }
    }

    #[test]
    fn parse_what_no_program_could_be_started_with_is_refused() {
        for (keys, expected) in [
            (
                format!("environment: {{A: {}}}", "x".repeat(131_070)),
                "3:17: the variable 'A' is 131072 bytes long with its name, and 131071 are what a \
                 program can be started with",
            ),
            (
                format!("config: {{a: {}}}", "x".repeat(131_070)),
                "3:3: the variable 'SERVICE_CONFIG_A' is 131087 bytes long with its name, and 131071 \
                 are what a program can be started with",
            ),
        ] {
            let text = format!("db:\n  type: custom\n  {keys}\n");
            assert_eq!(problems(&text), [expected]);
        }
    }

    #[test]
    fn parse_windows_text_and_aliases_are_read() {
        let text = "\u{feff}db: &db\r\n  type: custom\r\n  process: ~/a # not this\r\nweb: *db\r\n";
        let services = parse(text).unwrap().services;
        assert_eq!(services["db"].programs["db"], "~/a");
        assert_eq!(services["web"].programs["web"], "~/a");
    }

    #[test]
    fn read_absent_file_names_the_path() {
        let error = BuildFile::read(Path::new("/nowhere/dotcloud.yml")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nowhere/dotcloud.yml");
    }
}

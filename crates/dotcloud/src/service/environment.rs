//! What a service is told: `SERVICE_*`, `PORT_*`, `DOTCLOUD_*` and the user's variables, as Unix
//! variables and as environment files. Sets nothing: the runtime does.

mod files;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::build_file::{Service, dictionary_variables, outer_text};
use crate::model::endpoint::{ApplicationIdentity, Endpoint};
use crate::model::port::PortKind;
use crate::model::variable_size::check_variable;

pub(crate) use files::{EnvironmentFilesError, write_files};

/// Who an instance is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    pub(crate) application: ApplicationIdentity<'a>,
    pub(crate) service: &'a str,
    pub(crate) instance: u32,
}

/// In the environment files of every container, and only there: these are ports of the platform,
/// not of the service. As Unix variables they would look like ports to bind, and a service that
/// takes the only `PORT_*` it is given would find three. JSON numbers, as on the platform; a
/// service's own ports are strings.
const PLATFORM_PORTS: [(&str, u16); 2] = [("PORT_SSH", 22), ("PORT_HTTP", 80)];

/// `SERVICE_*`, from the service's part of the build file: mappings are flattened one level, the
/// rest of the nesting is text that is not meant to be parsed.
pub(crate) fn service_variables(service: &Service) -> BTreeMap<String, String> {
    let mut variables = dictionary_variables(&service.dictionary);
    // A variable of the service's that has room for no longer name is there under its own.
    variables.retain(|name, value| check_variable(name, value).is_ok());
    variables
}

/// The content of the environment files. `bind_ports` are the instance's own, `endpoints` those of
/// the whole application, `user` the user's variables, which the platform's override.
///
/// There are no `DOTCLOUD_<SERVICE>_SSH_*` keys: no sshd runs here, and a reader is better served
/// by a missing key than by an address that refuses.
pub(crate) fn platform_variables(
    identity: &Identity<'_>,
    bind_ports: &BTreeMap<String, u16>,
    endpoints: &[Endpoint],
    user: &BTreeMap<String, String>,
) -> BTreeMap<String, Value> {
    let mut variables = application_variables(&identity.application, endpoints, user);
    let mut set = |name: String, value: Value| drop(variables.insert(name, value));
    for (name, number) in PLATFORM_PORTS {
        set(name.to_owned(), json!(number));
    }
    for (name, number) in bind_ports {
        let name = format!("PORT_{}", name.to_uppercase());
        set(name, json!(number.to_string()));
    }
    set("DOTCLOUD_SERVICE_NAME".to_owned(), json!(identity.service));
    set(
        "DOTCLOUD_SERVICE_ID".to_owned(),
        json!(identity.instance.to_string()),
    );
    variables
}

/// What every service of the application is told alike.
pub(crate) fn application_variables(
    identity: &ApplicationIdentity<'_>,
    endpoints: &[Endpoint],
    user: &BTreeMap<String, String>,
) -> BTreeMap<String, Value> {
    let mut variables: BTreeMap<String, Value> = BTreeMap::new();
    let mut set = |name: String, value: Value| drop(variables.insert(name, value));
    for (name, value) in user {
        set(name.clone(), json!(value));
    }
    let own = [
        ("PROJECT", identity.name),
        ("ENVIRONMENT", "default"),
        ("FLAVOR", identity.flavor),
        ("USERNAME", identity.username),
        ("EMAIL", &format!("{}@localhost", identity.username)),
    ];
    for (name, value) in own {
        set(format!("DOTCLOUD_{name}"), json!(value));
    }
    let mut instances: BTreeMap<String, u32> = BTreeMap::new();
    for endpoint in endpoints {
        for (name, value) in endpoint_keys(endpoint) {
            if endpoint.instance == 0 {
                set(name.clone(), json!(value));
            }
            set(format!("{name}_{}", endpoint.instance), json!(value));
        }
        let count = instances.entry(endpoint.service.to_uppercase());
        let count = count.or_default();
        *count = (*count).max(endpoint.instance + 1);
    }
    for (service, count) in instances {
        set(format!("DOTCLOUD_{service}_INSTANCES"), json!(count));
    }
    variables
}

/// The keys of one endpoint, without the instance's suffix.
fn endpoint_keys(endpoint: &Endpoint) -> Vec<(String, String)> {
    let Endpoint { host, number, .. } = endpoint;
    let service = endpoint.service.to_uppercase();
    let port = endpoint.port.to_uppercase();
    let scheme = match endpoint.kind {
        // The word HTTP instead of the port's name, and no _PORT.
        PortKind::Http => {
            let prefix = format!("DOTCLOUD_{service}_HTTP");
            return vec![
                (format!("{prefix}_HOST"), host.clone()),
                (format!("{prefix}_URL"), format!("http://{host}:{number}/")),
            ];
        }
        PortKind::Tcp => "tcp",
        PortKind::Udp => "udp",
    };
    let prefix = format!("DOTCLOUD_{service}_{port}");
    vec![
        (format!("{prefix}_HOST"), host.clone()),
        (format!("{prefix}_PORT"), number.to_string()),
        (
            format!("{prefix}_URL"),
            format!("{scheme}://{host}:{number}"),
        ),
    ]
}

/// The same as Unix variables, without the platform's own ports.
pub(crate) fn unix_variables(variables: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let is_platform_port = |name: &str, value: &Value| {
        value.is_number() && PLATFORM_PORTS.iter().any(|(port, _)| *port == name)
    };
    variables
        .iter()
        .filter(|(name, value)| !is_platform_port(name, value))
        .map(|(name, value)| (name.clone(), outer_text(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::build_file::BuildFile;

    fn endpoint(service: &str, instance: u32, port: &str, kind: PortKind, number: u16) -> Endpoint {
        Endpoint {
            service: service.to_owned(),
            instance,
            port: port.to_owned(),
            kind,
            host: "127.0.0.1".to_owned(),
            number,
        }
    }

    fn variables() -> BTreeMap<String, Value> {
        let identity = Identity {
            application: ApplicationIdentity {
                name: "shop",
                flavor: "live",
                username: "me",
            },
            service: "db",
            instance: 1,
        };
        let endpoints = [
            endpoint("db", 0, "pgsql", PortKind::Tcp, 20001),
            endpoint("db", 1, "pgsql", PortKind::Tcp, 20002),
            endpoint("web_1", 0, "front", PortKind::Http, 20003),
            endpoint("web_1", 0, "stats", PortKind::Udp, 20004),
        ];
        let user = [("MODE", "yes"), ("DOTCLOUD_PROJECT", "forged")];
        let user = user.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let ports = BTreeMap::from([("pgsql".to_owned(), 42800)]);
        platform_variables(&identity, &ports, &endpoints, &BTreeMap::from(user))
    }

    #[test]
    fn service_variables_mappings_are_flattened_once() {
        let text = "\
db:
  type: custom
  systempackages: [libaio-dev]
  words: [it's, b, {c: d}]
  ports: {pg: tcp}
  config: {version: 5.10, deep: {a: b}}
  'a=b': lost
";
        let file = BuildFile::parse(Path::new("dotcloud.yml"), text).unwrap();
        let variables = service_variables(&file.services["db"]);
        let expected = [
            ("SERVICE_APPROOT", "."),
            ("SERVICE_BUILDSCRIPT", ""),
            ("SERVICE_CONFIG_DEEP", "{'a': 'b'}"),
            ("SERVICE_CONFIG_VERSION", "5.10"),
            ("SERVICE_INSTANCES", "1"),
            ("SERVICE_NAME", "db"),
            ("SERVICE_PORTS_PG", "tcp"),
            ("SERVICE_POSTBUILD", ""),
            ("SERVICE_POSTINSTALL", ""),
            ("SERVICE_PREBUILD", ""),
            ("SERVICE_PROCESS", ""),
            ("SERVICE_REQUIREMENTS", "[]"),
            ("SERVICE_SYSTEMPACKAGES", "['libaio-dev']"),
            ("SERVICE_TYPE", "custom"),
            ("SERVICE_WORDS", "[\"it's\", 'b', {'c': 'd'}]"),
        ];
        let variables: Vec<_> = variables.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(variables, expected);
    }

    #[test]
    fn platform_variables_have_plain_and_suffixed_endpoints() {
        assert_eq!(
            json!(variables()),
            json!({
                "DOTCLOUD_DB_INSTANCES": 2,
                "DOTCLOUD_DB_PGSQL_HOST": "127.0.0.1",
                "DOTCLOUD_DB_PGSQL_HOST_0": "127.0.0.1",
                "DOTCLOUD_DB_PGSQL_HOST_1": "127.0.0.1",
                "DOTCLOUD_DB_PGSQL_PORT": "20001",
                "DOTCLOUD_DB_PGSQL_PORT_0": "20001",
                "DOTCLOUD_DB_PGSQL_PORT_1": "20002",
                "DOTCLOUD_DB_PGSQL_URL": "tcp://127.0.0.1:20001",
                "DOTCLOUD_DB_PGSQL_URL_0": "tcp://127.0.0.1:20001",
                "DOTCLOUD_DB_PGSQL_URL_1": "tcp://127.0.0.1:20002",
                "DOTCLOUD_EMAIL": "me@localhost",
                "DOTCLOUD_ENVIRONMENT": "default",
                "DOTCLOUD_FLAVOR": "live",
                "DOTCLOUD_PROJECT": "shop",
                "DOTCLOUD_SERVICE_ID": "1",
                "DOTCLOUD_SERVICE_NAME": "db",
                "DOTCLOUD_USERNAME": "me",
                "DOTCLOUD_WEB_1_HTTP_HOST": "127.0.0.1",
                "DOTCLOUD_WEB_1_HTTP_HOST_0": "127.0.0.1",
                "DOTCLOUD_WEB_1_HTTP_URL": "http://127.0.0.1:20003/",
                "DOTCLOUD_WEB_1_HTTP_URL_0": "http://127.0.0.1:20003/",
                "DOTCLOUD_WEB_1_INSTANCES": 1,
                "DOTCLOUD_WEB_1_STATS_HOST": "127.0.0.1",
                "DOTCLOUD_WEB_1_STATS_HOST_0": "127.0.0.1",
                "DOTCLOUD_WEB_1_STATS_PORT": "20004",
                "DOTCLOUD_WEB_1_STATS_PORT_0": "20004",
                "DOTCLOUD_WEB_1_STATS_URL": "udp://127.0.0.1:20004",
                "DOTCLOUD_WEB_1_STATS_URL_0": "udp://127.0.0.1:20004",
                "MODE": "yes",
                "PORT_HTTP": 80,
                "PORT_PGSQL": "42800",
                "PORT_SSH": 22,
            })
        );
    }

    #[test]
    fn unix_variables_show_the_services_own_ports_only() {
        let mut variables = variables();
        let ports = |variables: &BTreeMap<String, Value>| -> Vec<String> {
            let unix = unix_variables(variables);
            let ports = unix.keys().filter(|name| name.starts_with("PORT_"));
            ports.cloned().collect()
        };
        assert_eq!(ports(&variables), ["PORT_PGSQL"]);
        assert_eq!(unix_variables(&variables)["DOTCLOUD_DB_INSTANCES"], "2");
        // A port that the service itself calls 'http'.
        variables.insert("PORT_HTTP".to_owned(), json!("42801"));
        assert_eq!(ports(&variables), ["PORT_HTTP", "PORT_PGSQL"]);
    }
}

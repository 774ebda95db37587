//! What an image is to be, by the service's own words: `image:` in dotcloud.yml says what the platform
//! would say on this machine.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::ImageError;
use crate::build_file::Service;
use crate::build_file::dictionary_variables;
use crate::model::port::PortKind;

/// Home in every image, as on the platform.
pub(crate) const HOME: &str = "/home/dotcloud";

/// The user of an image: nobody's on most machines, and no group of theirs.
pub(crate) const USER: u64 = 1000;

/// The key `image` of a service.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Paths below the home, each in a layer of its own: what changes seldom first.
    pub(crate) layers: Vec<String>,
    /// Directories below the home, besides `data`, that the container's user, whoever it is, may write.
    pub(crate) writable: Vec<String>,
    /// Packages of the base besides libc and `systempackages`.
    pub(crate) packages: Vec<String>,
    /// What is not needed: paths below the home, and, with a slash before them, of the base; `*` is any name.
    pub(crate) without: Vec<String>,
    /// The number of each port.
    ports: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    healthcheck: Option<String>,
}

/// What the image's configuration says.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) packages: Vec<String>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) healthcheck: Option<Vec<String>>,
    /// `NAME=VALUE`, sorted.
    pub(crate) environment: Vec<String>,
    /// Such as `3306/tcp`.
    pub(crate) ports: Vec<String>,
}

impl Plan {
    pub(crate) fn of(service: &Service) -> Result<Self, ImageError> {
        let settings = match service.dictionary.get("image") {
            None => Settings::default(),
            Some(value) => Settings::deserialize(value).map_err(|source| ImageError::Settings {
                service: service.name.clone(),
                source,
            })?,
        };
        let program = service
            .programs
            .get(&service.name)
            .or_else(|| service.programs.values().next());
        let entrypoint = words(program.map_or("~/run", String::as_str))?;
        let healthcheck = settings.healthcheck.as_deref().map(words).transpose()?;
        let mut packages = vec!["libc6".to_owned()];
        packages.extend(service.systempackages.iter().cloned());
        packages.extend(settings.packages.iter().cloned());
        packages.sort();
        packages.dedup();
        let numbers = numbers(service, &settings)?;
        Ok(Self {
            packages,
            entrypoint,
            healthcheck,
            environment: environment(service, &settings, &numbers),
            ports: numbers
                .iter()
                .filter_map(|(name, number)| match service.ports.get(name)? {
                    PortKind::Http | PortKind::Tcp => Some(format!("{number}/tcp")),
                    PortKind::Udp => Some(format!("{number}/udp")),
                })
                .collect(),
            settings,
        })
    }
}

fn numbers(service: &Service, settings: &Settings) -> Result<BTreeMap<String, u16>, ImageError> {
    service
        .ports
        .keys()
        .map(|name| {
            let number = settings.ports.get(name).and_then(|text| text.parse().ok());
            match number {
                Some(number) if number != 0 => Ok((name.clone(), number)),
                _ => Err(ImageError::Port {
                    service: service.name.clone(),
                    port: name.clone(),
                }),
            }
        })
        .collect()
}

/// What hooks and processes see of dotcloud.yml; nothing that was set with `env`, which may be secret.
fn environment(
    service: &Service,
    settings: &Settings,
    numbers: &BTreeMap<String, u16>,
) -> Vec<String> {
    let mut variables = BTreeMap::from([
        ("HOME".to_owned(), HOME.to_owned()),
        (
            "PATH".to_owned(),
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        ),
    ]);
    if let Some(config) = service.dictionary.get("config") {
        let config = serde_json::Map::from_iter([("config".to_owned(), config.clone())]);
        let config = dictionary_variables(&config).into_iter();
        variables.extend(config.filter(|(name, _)| name.starts_with("SERVICE_CONFIG_")));
    }
    variables.extend(service.environment.clone());
    let ports = numbers.iter();
    variables.extend(
        ports.map(|(name, number)| (format!("PORT_{}", name.to_uppercase()), number.to_string())),
    );
    variables.extend(settings.environment.clone());
    let pairs = variables.into_iter();
    pairs
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// A command line as a list of words: an image may have no shell to read it.
fn words(line: &str) -> Result<Vec<String>, ImageError> {
    if line.contains(|c: char| "|&;<>()$`\"'\\*?[]#{}".contains(c)) {
        return Err(ImageError::Command {
            line: line.to_owned(),
        });
    }
    let word = |word: &str| match word.strip_prefix("~/") {
        Some(rest) => format!("{HOME}/{rest}"),
        None => word.to_owned(),
    };
    Ok(line.split_whitespace().map(word).collect())
}

impl Settings {
    /// The layer of `path`, below the home: its index in `layers`, or their number.
    pub(crate) fn layer_of(&self, path: &Path) -> usize {
        let found = self.layers.iter().position(|layer| path.starts_with(layer));
        found.unwrap_or(self.layers.len())
    }

    /// Whether `path`, below the home, is left out.
    pub(crate) fn leaves_out(&self, path: &Path) -> bool {
        let of_home = self.without.iter().filter(|left| !left.starts_with('/'));
        of_home.into_iter().any(|left| matches(left, path))
    }

    /// Whether `path`, below the root, is left out of the base.
    pub(crate) fn leaves_out_of_base(&self, path: &Path) -> bool {
        let mut of_base = self
            .without
            .iter()
            .filter_map(|left| left.strip_prefix('/'));
        of_base.any(|left| matches(left, path))
    }
}

/// Whether `path` is `pattern`, or below it.
fn matches(pattern: &str, path: &Path) -> bool {
    let mut names = path.components();
    pattern
        .split('/')
        .filter(|name| !name.is_empty())
        .all(|wanted| {
            let name = names.next().map(std::path::Component::as_os_str);
            name.is_some_and(|name| wanted == "*" || name == wanted)
        })
}

//! Names of images, as `NAME:TAG`.

use std::collections::HashMap;
use std::str::FromStr;

use thiserror::Error;

/// One name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag(String);

impl Tag {
    pub(crate) fn given(&self) -> &str {
        &self.0
    }

    /// With the registry that a name without one stands for.
    fn full(&self) -> String {
        match self.0.split_once('/') {
            None => format!("docker.io/library/{}", self.0),
            Some((first, _)) if first == "localhost" || first.contains(['.', ':']) => {
                self.0.clone()
            }
            Some(_) => format!("docker.io/{}", self.0),
        }
    }

    /// Where loaders look for it: podman and skopeo, and containerd.
    pub(super) fn annotations(&self) -> HashMap<String, String> {
        HashMap::from([
            ("org.opencontainers.image.ref.name".to_owned(), self.full()),
            ("io.containerd.image.name".to_owned(), self.full()),
        ])
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let part = |part: &str| {
            let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            let inner = |c: char| edge(c) || "._-:".contains(c);
            part.starts_with(edge) && part.ends_with(edge) && part.chars().all(inner)
        };
        let last = text.rsplit('/').next().unwrap_or_default();
        let (name, tag) = match last.split_once(':') {
            Some((_, tag)) => (text[..text.len() - tag.len() - 1].to_owned(), tag),
            None => (text.to_owned(), "latest"),
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let plain = |last: &str| !last.contains(':');
        let good = !name.is_empty()
            && name.split('/').all(part)
            && name.rsplit('/').next().is_some_and(plain)
            && (1..=128).contains(&tag.len())
            && !tag.starts_with(['.', '-'])
            && tag.chars().all(legal);
        if good {
            Ok(Self(format!("{name}:{tag}")))
        } else {
            Err(TagError {
                text: text.to_owned(),
            })
        }
    }
}

/// Not the name of an image.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{text}' is not a NAME:TAG of an image, such as localhost/mysql:9.7")]
pub(crate) struct TagError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_str_table() {
        for (text, given, full) in [
            ("mysql", "mysql:latest", "docker.io/library/mysql:latest"),
            ("me/mysql:9.7", "me/mysql:9.7", "docker.io/me/mysql:9.7"),
            ("localhost/x:1", "localhost/x:1", "localhost/x:1"),
            (
                "r.example:5000/x:A_1",
                "r.example:5000/x:A_1",
                "r.example:5000/x:A_1",
            ),
        ] {
            let tag: Tag = text.parse().unwrap();
            assert_eq!((tag.given(), &*tag.full()), (given, full));
        }
        for text in [
            "", ":1", "Mysql:1", "a//b", "x:", "x:-1", "x:1:2", "a b", "x/:1",
        ] {
            assert_eq!(
                text.parse::<Tag>().unwrap_err().to_string(),
                format!("'{text}' is not a NAME:TAG of an image, such as localhost/mysql:9.7")
            );
        }
    }
}

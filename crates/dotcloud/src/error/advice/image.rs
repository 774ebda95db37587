//! Advice about images.

use hook::Advice;

use super::{command, configuration, environment, file};
use crate::image::{BaseError, ImageError};

pub(super) fn image(error: &ImageError) -> Advice {
    match error {
        ImageError::Settings { .. } => configuration(
            "say layers, writable, packages, without (lists), ports, environment (mappings) and healthcheck (a \
             command) there, and nothing else; push again",
        ),
        ImageError::Port { port, .. } => configuration(format!(
            "say it below the service (image: {{ports: {{{port}: 3306}}}}), push again"
        )),
        ImageError::Command { .. } => {
            configuration("put the line into a script that is pushed, and name that; push again")
        }
        ImageError::NotBuilt { .. } => configuration("push it first: 'dotcloud push'"),
        ImageError::Gone { .. } => configuration("push again: it is built anew"),
        ImageError::Tag(_) => {
            configuration("give it a name in lower case, and a tag behind a colon")
        }
        ImageError::Base(error) => base(error),
        ImageError::Layout(_) => {
            environment("make room where the file is to be, or choose another place with --output")
        }
        ImageError::File(error) => file(error),
    }
}

fn base(error: &BaseError) -> Advice {
    match error {
        BaseError::NoMirror => environment(
            "call it on Debian, or give a root file system with --base ('debootstrap' makes one)",
        ),
        BaseError::Apt(error) => command(
            error,
            "see to it that apt reaches its mirror, and that the packages of 'systempackages' and \
             'image: packages:' are Debian's; --base FILE does without",
        ),
        BaseError::NoDigest { .. } | BaseError::Damaged { .. } => environment(
            "call it again; if that does not help, look for a proxy or mirror that alters packages",
        ),
        BaseError::Unpack { .. } => {
            environment("make room in the temporary directory, or give a sound tarball")
        }
        BaseError::File(error) => file(error),
    }
}

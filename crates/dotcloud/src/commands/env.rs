//! `env`: the user's variables of the whole application. Prints no value but in its list.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Call, deployment};
use crate::cli::{self, Form};
use crate::error::Error;
use crate::model::application::Application;
use crate::model::variables::{VariableError, parse_assignments};
use crate::output::console;
use crate::service::environment;

/// Lists variables; or changes them, then deploys.
pub(super) fn env(call: &Call, action: cli::Env) -> Result<(), Error> {
    match action {
        cli::Env::List(form) => list(call, form),
        cli::Env::Set { assignments } => {
            let assignments = parse_assignments(&assignments)?;
            let names: Vec<&str> = assignments.iter().map(|(name, _)| &**name).collect();
            let doing = format!("Setting {}", names.join(", "));
            change(call, &doing, |application| {
                application.variables.set(assignments)
            })
        }
        cli::Env::Unset { names } => change(call, "Removing variables", |application| {
            application.variables.unset(&names)
        }),
    }
}

fn list(call: &Call, form: Form) -> Result<(), Error> {
    let application = call.application()?;
    let variables = environment::application_variables(
        &application.identity(&call.platform.username),
        &application.endpoints(),
        application.variables.all(),
    );
    let variables = environment::unix_variables(&variables);
    if form.json {
        super::json::print(&serde_json::json!(variables));
        return Ok(());
    }
    for (name, value) in variables {
        console::print(format!("{name}={}", shown(&value)));
    }
    Ok(())
}

/// A value on one line, so that none looks like another variable: as it is, or in bash's `$'…'` if
/// it holds what a terminal must not get, or looks like such a form itself.
fn shown(value: &str) -> Cow<'_, str> {
    let quoted = value.starts_with("$'") || value.contains(|c| hook::is_unsafe(c) && c != '\t');
    if !quoted {
        return value.into();
    }
    let mut text = "$'".to_owned();
    for c in value.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\'' | '\\' => text.extend(['\\', c]),
            // Of four digits always, so that no digit that follows is taken for one of them.
            c if hook::is_unsafe(c) => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('\'');
    text.into()
}

fn change(
    call: &Call,
    doing: &str,
    change: impl FnOnce(&mut Application) -> Result<(), VariableError>,
) -> Result<(), Error> {
    let mut application = call.locked_to_start(&call.application()?.name)?;
    change(&mut application)?;
    console::info(format!("{doing} for application {}", application.name));
    application.save()?;
    deployment::run_newest(call, &mut application, "The variables are recorded");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_values_are_one_line_and_bash_reads_them_back() {
        for (value, expected) in [
            ("a b\\n\tc", "a b\\n\tc"),
            ("", ""),
            ("a\nDOTCLOUD_FAKE=1", "$'a\\nDOTCLOUD_FAKE=1'"),
            ("it's\r\t\\", "$'it\\'s\\r\\t\\\\'"),
            ("$'x'", "$'$\\'x\\''"),
            ("\u{1b}1\u{9b}\u{202e}", "$'\\u001b1\\u009b\\u202e'"),
        ] {
            let text = shown(value);
            assert_eq!(text, expected);
            if text.starts_with("$'") {
                let bash = std::process::Command::new("/bin/bash")
                    .args(["-c", &format!("printf %s {text}")])
                    .env("LC_ALL", "C.UTF-8")
                    .output()
                    .unwrap();
                assert_eq!(String::from_utf8(bash.stdout).unwrap(), value);
            }
        }
    }
}

//! `names`: what a shell asks to complete names of applications, services and instances. What a word may
//! be is told by the definition of the command line.

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::Call;
use crate::cli::Cli;
use crate::model::application::Application;
use crate::output::console;

/// What a word of a command line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Application,
    Service,
    /// A service will do, too.
    ServiceOrInstance,
    Instance,
}

/// Prints what the word `index` of `words` may be, one name a line; nothing if that is no name, or if the
/// state cannot be read: somebody is typing.
pub(super) fn names(call: &mut Call, index: usize, words: &[String]) {
    let before = words.get(1..index).unwrap_or_default();
    let Some(named) = wanted(before) else {
        return;
    };
    if named == Named::Application {
        for name in call.platform.store.applications().unwrap_or_default() {
            console::print(name);
        }
        return;
    }
    call.global.application = given(before).or(call.global.application.take());
    if let Ok(application) = call.application() {
        for name in of_application(&application, named) {
            console::print(name);
        }
    }
}

fn of_application(application: &Application, named: Named) -> Vec<String> {
    let services = application.services.keys().cloned();
    let instances = application.instances().map(|(name, _)| name.to_string());
    match named {
        Named::Application => Vec::new(),
        Named::Service => services.collect(),
        Named::ServiceOrInstance => services.chain(instances).collect(),
        Named::Instance => instances.collect(),
    }
}

/// The application that an option among `words` names.
fn given(words: &[String]) -> Option<String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if is_application_option(word) {
            return words.next().cloned();
        }
    }
    None
}

fn is_application_option(word: &str) -> bool {
    ["-A", "--application"].contains(&word)
}

/// What follows `before`, the words after our own name.
fn wanted(before: &[String]) -> Option<Named> {
    if before
        .last()
        .is_some_and(|word| is_application_option(word))
    {
        return Some(Named::Application);
    }
    let mut command = Cli::command();
    command.build();
    let mut verb = &command;
    let mut operands = 0;
    let mut words = before.iter();
    while let Some(word) = words.next() {
        if word.starts_with('-') {
            if takes_value(verb, word) {
                words.next()?;
            }
        } else if let Some(below) = verb.find_subcommand(word).filter(|_| operands == 0) {
            verb = below;
        } else {
            operands += 1;
        }
    }
    // Its name is to be a new one.
    if verb.get_name() == "create" {
        return None;
    }
    let operand = operand(verb, operands)?;
    match operand.get_value_names()?.first()?.as_str() {
        "APP" => Some(Named::Application),
        "SERVICE" => Some(Named::Service),
        "SERVICE[.N]" => Some(Named::ServiceOrInstance),
        "SERVICE.N" => Some(Named::Instance),
        name => name.starts_with("SERVICE[:").then_some(Named::Service),
    }
}

/// The operand number `index` of `verb`; the last one may take all that follow.
fn operand(verb: &Command, index: usize) -> Option<&Arg> {
    let operands: Vec<&Arg> = verb.get_positionals().collect();
    let last = operands.last().copied();
    let of_many = last.filter(|last| matches!(last.get_action(), ArgAction::Append));
    operands.get(index).copied().or(of_many)
}

/// Whether the next word belongs to the option `word`.
fn takes_value(verb: &Command, word: &str) -> bool {
    if word.contains('=') {
        return false;
    }
    let is_it = |option: &&Arg| {
        let long = word.strip_prefix("--");
        let short = word.strip_prefix('-').and_then(|rest| rest.chars().next());
        long.map_or_else(
            || option.get_short() == short,
            |long| option.get_long() == Some(long),
        )
    };
    let found = verb.get_arguments().find(is_it);
    found
        .is_some_and(|option| option.get_action().takes_values() && !option.is_require_equals_set())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_is_told_by_the_definition() {
        for (line, expected) in [
            ("", None),
            ("-A", Some(Named::Application)),
            ("push -A", Some(Named::Application)),
            ("connect", Some(Named::Application)),
            ("create", None),
            ("info", Some(Named::Service)),
            ("info db", None),
            ("-A shop info", Some(Named::Service)),
            ("info --json", Some(Named::Service)),
            ("logs -n 5", Some(Named::ServiceOrInstance)),
            ("logs db.0 web", Some(Named::ServiceOrInstance)),
            ("status --wait", Some(Named::ServiceOrInstance)),
            ("restart", Some(Named::Instance)),
            ("memory", Some(Named::Instance)),
            ("traffic db.0", None),
            ("run", Some(Named::ServiceOrInstance)),
            ("run db", None),
            ("scale db=1", Some(Named::Service)),
            ("env", None),
            ("env set", None),
        ] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(wanted(&words), expected, "{line}");
        }
    }

    #[test]
    fn given_is_what_the_option_names() {
        let words = ["info", "-A", "shop"].map(str::to_owned);
        assert_eq!(given(&words).as_deref(), Some("shop"));
        assert_eq!(given(&words[..2]), None);
    }
}

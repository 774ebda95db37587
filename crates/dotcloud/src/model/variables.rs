//! The user's variables: which names are allowed, and those that hold for the whole application
//! (`dotcloud env`). Their values are secrets, which no message and no `Debug` shows.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::variable_size::{SizeError, check_variable, check_variables};

/// Set with `dotcloud env`, for every service of an application.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct UserVariables(BTreeMap<String, String>);

impl fmt::Debug for UserVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl UserVariables {
    /// Those that `declared`, a service's part of the build file, has, and these, which win.
    pub(crate) fn over(&self, declared: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = declared.clone();
        all.extend(self.0.clone());
        all
    }

    pub(crate) fn all(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Adds or replaces variables: all of them, or, if they are too many, none.
    pub(crate) fn set(&mut self, assignments: Vec<(String, String)>) -> Result<(), VariableError> {
        let mut all = self.0.clone();
        all.extend(assignments);
        check_variables(&all)?;
        self.0 = all;
        Ok(())
    }

    /// Removes `names`, all of them or, if one of them is not set, none.
    pub(crate) fn unset(&mut self, names: &[String]) -> Result<(), VariableError> {
        if let Some(name) = names.iter().find(|name| !self.0.contains_key(*name)) {
            // What follows a '=' was meant as a value.
            let name = name.split('=').next().unwrap_or_default().to_owned();
            return Err(VariableError::NotSet { name });
        }
        self.0.retain(|name, _| !names.contains(name));
        Ok(())
    }
}

/// Reads operands of the form `NAME=VALUE`.
pub(crate) fn parse_assignments(
    operands: &[String],
) -> Result<Vec<(String, String)>, VariableError> {
    let mut assignments = Vec::new();
    for (index, operand) in operands.iter().enumerate() {
        let Some((name, value)) = operand.split_once('=') else {
            return Err(VariableError::NoValue {
                position: index + 1,
            });
        };
        check_variable_name(name)?;
        check_variable(name, value)?;
        assignments.push((name.to_owned(), value.to_owned()));
    }
    Ok(assignments)
}

/// Variables that cannot be set or removed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum VariableError {
    /// Not shown: it may be a value that was torn off its name.
    #[error("operand {position} has no '='")]
    NoValue { position: usize },
    #[error("the variable '{name}' is not set")]
    NotSet { name: String },
    #[error(transparent)]
    Name(#[from] VariableNameError),
    #[error(transparent)]
    Size(#[from] SizeError),
}

/// Whether a user may set `name`.
pub(crate) fn check_variable_name(name: &str) -> Result<(), VariableNameError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins_well || !name.chars().all(legal) {
        return Err(VariableNameError::Form { name: name.into() });
    }
    if name.starts_with("DOTCLOUD_") {
        return Err(VariableNameError::Reserved { name: name.into() });
    }
    Ok(())
}

/// A name that the user may not give to a variable.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum VariableNameError {
    /// A shell could not use it.
    #[error("'{name}' is not a variable name")]
    Form { name: String },
    /// It would pose as the platform's.
    #[error("'{name}' begins with DOTCLOUD_, which is the platform's")]
    Reserved { name: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn check_variable_name_rules_are_enforced() {
        for good in ["A", "_a", "MYSQL_ROOT_PASSWORD", "a1", "DOTCLOUDY"] {
            assert_eq!(check_variable_name(good), Ok(()));
        }
        let text = |name| check_variable_name(name).unwrap_err().to_string();
        for bad in ["", "1A", "A-B", "A=B", "É"] {
            assert_eq!(text(bad), format!("'{bad}' is not a variable name"));
        }
        assert_eq!(
            text("DOTCLOUD_X"),
            "'DOTCLOUD_X' begins with DOTCLOUD_, which is the platform's"
        );
    }

    #[test]
    fn parse_assignments_never_repeats_a_value() {
        assert_eq!(
            parse_assignments(&strings(&["A=x=y", "B="])).unwrap(),
            [("A", "x=y"), ("B", "")].map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        for (operands, text) in [
            (["A=1", "hunter2"], "operand 2 has no '='"),
            (["A=1", "B-C=hunter2"], "'B-C' is not a variable name"),
            (
                ["A=1", "DOTCLOUD_X=hunter2"],
                "'DOTCLOUD_X' begins with DOTCLOUD_, which is the platform's",
            ),
        ] {
            let error = parse_assignments(&strings(&operands)).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn user_variables_override_and_are_removed_together() {
        let mut variables = UserVariables::default();
        let assignments = parse_assignments(&strings(&["A=secret", "B=2"])).unwrap();
        variables.set(assignments).unwrap();
        let declared = [("A", "declared"), ("C", "3")];
        let declared = declared.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let all = variables.over(&BTreeMap::from(declared));
        let values: Vec<&String> = all.values().collect();
        assert_eq!(values, ["secret", "2", "3"]);
        assert_eq!(format!("{variables:?}"), r#"{"A", "B"}"#);

        let error = variables.unset(&strings(&["A", "C=hunter2"])).unwrap_err();
        assert_eq!(error.to_string(), "the variable 'C' is not set");
        assert_eq!(variables.all().len(), 2);
        variables.unset(&strings(&["A"])).unwrap();
        assert_eq!(variables.all().len(), 1);
    }
}

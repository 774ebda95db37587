//! What can be told of a command line of `process`: bash execs it, so that only one simple command
//! works.

/// What bash does itself, and no program does.
const BASHS_OWN: [&str; 26] = [
    ".", ":", "[[", "alias", "case", "cd", "declare", "eval", "exec", "export", "for", "function",
    "if", "popd", "pushd", "read", "set", "shopt", "source", "trap", "ulimit", "umask", "unset",
    "until", "while", "{",
];

/// Why `line` will not do what it seems to, if that can be told.
pub(crate) fn suspicion(line: &str) -> Option<String> {
    let first = line.split_whitespace().next()?;
    if BASHS_OWN.contains(&first) {
        return Some(format!("'{first}' is no program"));
    }
    let name = first.split_once('=').map(|(name, _)| name);
    if name.is_some_and(|name| crate::model::variables::check_variable_name(name).is_ok()) {
        return Some(format!(
            "'{first}' is no program ('env {first} …' sets a variable)"
        ));
    }
    operator(line).map(|operator| format!("nothing after '{operator}' is ever reached"))
}

/// The first operator outside of quotes that begins another command.
fn operator(line: &str) -> Option<&'static str> {
    let mut quote = None;
    let mut characters = line.char_indices();
    while let Some((index, c)) = characters.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => drop(characters.next()),
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('#', None) if line[..index].ends_with(char::is_whitespace) => return None,
            // What is in braces or parentheses of a substitution is not looked at.
            ('(' | '`', None) => return None,
            (_, None) => {
                let found = ["&&", "||", ";"]
                    .into_iter()
                    .find(|word| line[index..].starts_with(word));
                if found.is_some() {
                    return found;
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicion_falls_on_what_exec_cannot() {
        for (line, expected) in [
            ("cd / && sleep 1", Some("'cd' is no program")),
            ("exec ~/run", Some("'exec' is no program")),
            (
                "A=1 ~/run",
                Some("'A=1' is no program ('env A=1 …' sets a variable)"),
            ),
            ("~/a && ~/b", Some("nothing after '&&' is ever reached")),
            ("~/a; ~/b", Some("nothing after ';' is ever reached")),
            ("~/a || true", Some("nothing after '||' is ever reached")),
            ("~/run", None),
            ("~/run '&&' \"a;b\" \\; # ; x", None),
            ("bash -c 'cd / && sleep 1'", None),
            ("~/run --key=a", None),
            ("~/run $(echo a; echo b)", None),
        ] {
            assert_eq!(suspicion(line).as_deref(), expected, "{line}");
        }
    }
}

//! Option names: which spellings mean the same option.

/// How a spelling relates to the option it was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The option itself, perhaps with `loose-`.
    Plain,
    /// `skip-` or `disable-`: the option is switched off.
    Off,
    /// `enable-`: the option is switched on.
    On,
}

/// Whether `written` sets `option`, and how.
///
/// `maximum-X` limits what clients may set X to; it does not set X.
pub(super) fn relate(written: &[u8], option: &str) -> Option<Form> {
    let written = normal(written);
    let written = written.strip_prefix("loose-").unwrap_or(&written);
    let option = normal(option.as_bytes());
    if written == option {
        return Some(Form::Plain);
    }
    let (prefix, rest) = written.split_once('-')?;
    match prefix {
        "skip" | "disable" if rest == option => Some(Form::Off),
        "enable" if rest == option => Some(Form::On),
        _ => None,
    }
}

fn normal(name: &[u8]) -> String {
    String::from_utf8_lossy(name).replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relate_spellings_table() {
        for (written, option, form, reason) in [
            ("port", "port", Some(Form::Plain), "itself"),
            ("bind_address", "bind-address", Some(Form::Plain), "_ is -"),
            ("bind-address", "bind_address", Some(Form::Plain), "- is _"),
            ("loose-mysqlx", "mysqlx", Some(Form::Plain), "loose"),
            ("loose_mysqlx", "mysqlx", Some(Form::Plain), "loose with _"),
            ("skip-mysqlx", "mysqlx", Some(Form::Off), "skip"),
            ("disable_log_bin", "log-bin", Some(Form::Off), "disable"),
            ("loose-skip-mysqlx", "mysqlx", Some(Form::Off), "both"),
            ("enable-mysqlx", "mysqlx", Some(Form::On), "enable"),
            (
                "skip-networking",
                "skip-networking",
                Some(Form::Plain),
                "an option whose own name starts so",
            ),
            ("maximum-port", "port", None, "a limit, not a value"),
            ("report-port", "port", None, "another option"),
            ("ports", "port", None, "longer"),
            ("Port", "port", None, "names are case-sensitive"),
        ] {
            assert_eq!(relate(written.as_bytes(), option), form, "{reason}");
        }
    }
}

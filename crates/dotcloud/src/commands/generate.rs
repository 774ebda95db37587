//! `completions` and `man`: made from the definition of the command line, so that they fit it.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::error::Error;
use crate::output::console;

/// What is made from the definition knows placeholders only: where there are names, they stand in for it.
const NAMES_IN_BASH: &str = r#"
_dotcloud_or_names() {
    _dotcloud "$@"
    local name
    case $2 in -*) return ;; esac
    local -a names=()
    while IFS= read -r name; do
        case $name in "$2"*) names+=("$name") ;; esac
    done < <("$1" names "$COMP_CWORD" "${COMP_WORDS[@]}" 2>/dev/null)
    [ ${#names[@]} = 0 ] || COMPREPLY=("${names[@]}")
}
complete -F _dotcloud_or_names -o bashdefault -o default dotcloud
"#;

/// Prints the completions for `shell`.
pub(super) fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dotcloud", &mut script);
    if shell == Shell::Bash {
        script.extend_from_slice(NAMES_IN_BASH.as_bytes());
    }
    console::print_verbatim(&script);
}

/// Prints the manual page of the program, or of the verb that `words` name.
pub(super) fn man(words: &[String]) -> Result<(), Error> {
    let mut command = Cli::command();
    // Gives verbs their full names, and the options that all have.
    command.build();
    let mut found = &command;
    for word in words {
        let below = found.find_subcommand(word);
        found = below
            .filter(|command| !command.is_hide_set())
            .ok_or_else(|| Error::NoVerb {
                verb: words.join(" "),
            })?;
    }
    let title = [&["dotcloud".to_owned()], words].concat().join("-");
    let mut page = Vec::new();
    Man::new(found.clone())
        .title(title)
        .source(concat!("dotcloud ", env!("CARGO_PKG_VERSION")))
        .render(&mut page)
        .map_err(|source| Error::Man { source })?;
    console::print_verbatim(&page);
    Ok(())
}

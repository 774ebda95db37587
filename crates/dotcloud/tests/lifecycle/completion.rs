//! Completion of names, by a real bash that has sourced what `completions bash` prints.

use super::RUNTIME;
use crate::world::World;

/// What bash offers for the last word of `line`.
#[track_caller]
fn offered(world: &World, line: &str) -> Vec<String> {
    let script = r#"
        set -e
        eval "$("$0" completions bash)"
        dotcloud=$0
        # As the shell splits it; the last word is what is being typed.
        IFS=' ' read -ra COMP_WORDS <<<"$1x"
        last=$((${#COMP_WORDS[@]} - 1))
        COMP_WORDS[last]=${COMP_WORDS[last]%x}
        COMP_WORDS[0]=$dotcloud
        COMP_CWORD=$last
        [[ $(complete -p dotcloud) == *_dotcloud_or_names* ]]
        # As in the shell of whoever types: no match is no failure.
        set +e
        _dotcloud_or_names "$dotcloud" "${COMP_WORDS[last]}" "${COMP_WORDS[last - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = world.program("bash");
    bash.args(["-c", script, env!("CARGO_BIN_EXE_dotcloud"), line]);
    let output = bash.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn names_are_completed() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.write(
        "dotcloud.yml",
        &format!("{}  instances: 2\n", crate::world::BUILD_FILE),
    );
    world.push(0);
    world.dotcloud(["create", "-o", "another"]).with_status(0);
    for (line, expected) in [
        ("dotcloud -A ", &["another", "app"][..]),
        ("dotcloud info -A an", &["another"]),
        ("dotcloud connect a", &["another", "app"]),
        ("dotcloud info ", &["db"]),
        ("dotcloud restart ", &["db.0", "db.1"]),
        ("dotcloud memory db.1", &["db.1"]),
        ("dotcloud logs db.0 ", &["db", "db.0", "db.1"]),
        ("dotcloud -A app run d", &["db", "db.0", "db.1"]),
        ("dotcloud resta", &["restart"]),
    ] {
        assert_eq!(offered(&world, line), expected, "{line}");
    }
    // Of an application without services there are none: what the definition has stays.
    let none = offered(&world, "dotcloud -A another restart db");
    assert!(none.iter().all(|word| !word.starts_with("db")), "{none:?}");
    world
        .dotcloud(["destroy", "-y", "-A", "another"])
        .with_status(0);
}

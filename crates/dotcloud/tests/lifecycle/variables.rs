//! What a service may be told: its variables are its programs', whatever they mean to others, and as
//! long as the kernel takes.

use std::fs;

use super::RUNTIME;
use crate::world::{BUILD_FILE, World, wait_for};

/// Writes its environment, as the kernel has it.
const TELLER: &str = "#!/bin/sh\ntr '\\0' '\\1' < /proc/self/environ > ~/told.new\nmv ~/told.new ~/told\n\
                      exec sleep 1000\n";

fn with_teller(environment: &str) -> Option<World> {
    let world = World::new(RUNTIME)?;
    world.write("app/teller", TELLER);
    world.executable("app/teller");
    // A module of that name is what supervisord would import.
    world.script(
        "app/builder",
        "cp app/server app/teller ~; unset PYTHONPATH PYTHONHOME; mkdir -p ~/lib; touch ~/lib/logging.py ~/lib/queue.py\n\
         mkdir -p $(python3 -c 'import site; print(site.getusersitepackages())')\n\
         touch $(python3 -c 'import site; print(site.getusersitepackages())')/pkg_resources.py",
    );
    let processes = "  processes:\n    db: env -u PYTHONPATH -u PYTHONHOME -u LD_PRELOAD ~/server\n    \
                     teller: ~/teller\n";
    let yml = BUILD_FILE.replace("  process: ~/server\n", processes);
    world.write(
        "dotcloud.yml",
        &format!("{yml}  environment:\n{environment}"),
    );
    Some(world)
}

fn told(world: &World) -> Vec<String> {
    let path = world.state("db.0/1/home/told");
    let text = wait_for("the environment", || fs::read_to_string(&path).ok());
    text.split('\u{1}').map(str::to_owned).collect()
}

#[test]
fn variables_that_break_python_or_the_loader_reach_the_programs_only() {
    let Some(world) = with_teller(
        "    PYTHONPATH: /nowhere\n    PYTHONHOME: /nowhere\n    PYTHONSTARTUP: /nowhere\n    \
         LD_LIBRARY_PATH: /nowhere\n    LD_PRELOAD: ''\n    PYTHONNOUSERSITE: ''\n",
    ) else {
        return;
    };
    let home = world.inside("db.0/1/home");
    // What is in ~/lib is found through it, by whatever is Python.
    let yml = fs::read_to_string(world.code("dotcloud.yml")).unwrap();
    let yml = yml.replace("PYTHONPATH: /nowhere", &format!("PYTHONPATH: {home}/lib"));
    world.write("dotcloud.yml", &yml);
    world.script("app/postinstall", "echo it=$PYTHONPATH");
    let push = world.push(0);
    push.position(&format!("it={home}/lib\n"));
    let told = told(&world);
    for expected in [
        &*format!("PYTHONPATH={home}/lib"),
        "PYTHONHOME=/nowhere",
        "PYTHONSTARTUP=/nowhere",
        "LD_LIBRARY_PATH=/nowhere",
        "LD_PRELOAD=",
        "PYTHONNOUSERSITE=",
    ] {
        assert!(
            told.iter().any(|one| one == expected),
            "{expected}: {told:?}"
        );
    }
    assert!(
        !told.iter().any(|one| one.contains("DOTCLOUD__")),
        "{told:?}"
    );
    world.dotcloud(["restart", "db.0"]).with_status(0);
}

#[test]
fn variables_are_exact_whatever_is_in_them() {
    let Some(world) = with_teller(
        "    A: '%(here)s %% $HOME `id` \"x\" ''y'' \\\\ ; # !'\n    B: \"a\\nb\\n\\n\"\n    n: \"1\"\n    \
         IFS: \"=\"\n    C: \" \\t \"\n    D: ''\n    E: 'é\u{20ac}'\n    UID: '7'\n    BASH_ENV: /nowhere\n    \
         POSIXLY_CORRECT: '1'\n",
    ) else {
        return;
    };
    world.push(0);
    let told = told(&world);
    for expected in [
        "A=%(here)s %% $HOME `id` \"x\" 'y' \\\\ ; # !",
        "B=a\nb\n\n",
        "n=1",
        "C= \t ",
        "D=",
        "E=é\u{20ac}",
        "BASH_ENV=/nowhere",
        "POSIXLY_CORRECT=1",
    ] {
        assert!(
            told.iter().any(|one| one == expected),
            "{expected:?}: {told:?}"
        );
    }
}

#[test]
fn variable_that_the_kernel_takes_works_and_a_longer_one_changes_nothing() {
    let longest = "x".repeat((128 << 10) - "LONG=".len() - 1);
    let Some(world) = with_teller(&format!("    LONG: {longest}\n")) else {
        return;
    };
    world.push(0);
    assert!(told(&world).contains(&format!("LONG={longest}")));
    let yml = fs::read_to_string(world.code("dotcloud.yml")).unwrap();
    world.write("dotcloud.yml", &yml.replace("LONG: ", "LONG: x"));
    let refused = world.push(1);
    refused.position("the variable 'LONG' is 131072 bytes long with its name, and 131071 are");
    assert!(refused.stdout.len() < 2000, "{}", refused.stdout.len());
    world.write("dotcloud.yml", &yml.replace(&longest, "short"));
    let many: Vec<String> = (0..40)
        .map(|number| format!("V{number}={}", "y".repeat(50_000)))
        .collect();
    for half in many.chunks(20) {
        let words = ["env", "set"].map(str::to_owned);
        let set = world.dotcloud(words.iter().chain(half));
        if half[0] == many[0] {
            set.with_status(0);
        } else {
            set.with_status(1).position("the variables are 20");
        }
    }
    assert!(!world.dotcloud(["env", "list"]).stdout.contains("\nV39="));
    assert!(world.ask("db.0").contains("started"));
}

#[test]
fn process_that_exec_cannot_run_is_told() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.write(
        "dotcloud.yml",
        &BUILD_FILE.replace("~/server", "~/server && true"),
    );
    world.push(0).position(
        "its program db is one simple command, which bash execs, and nothing after '&&' is ever \
         reached: put '~/server && true' into a script",
    );
    world.write(
        "dotcloud.yml",
        &BUILD_FILE.replace("~/server", "cd / && sleep 1000"),
    );
    let failed = world.push(2);
    failed.position("'cd' is no program");
    failed.position("it is one simple command, which bash execs");
}

//! `push --git` and `push --hg` upload what is committed; `push --verbose` names what it uploads.

use std::process::Command;

use super::RUNTIME;
use crate::world::World;

fn git(world: &World, words: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=x", "-c", "user.email=x@localhost"])
        .args(words)
        .current_dir(world.code(""));
    assert!(git.status().unwrap().success(), "{words:?}");
}

/// The code as a repository with one commit, which ignores tarballs.
fn repository() -> World {
    let world = World::new(RUNTIME).unwrap();
    world.write(".gitignore", "*.tar.gz\n.dotcloud\n");
    world.write("app/mysql.tar.gz", "x");
    world.script("app/builder", "cp app/server ~; ls app > ~/uploaded");
    git(&world, &["init", "--quiet", "--initial-branch=main"]);
    git(&world, &["add", "."]);
    git(&world, &["commit", "--quiet", "--message=first"]);
    world
}

#[test]
fn git_push_omits_what_git_ignores_and_what_is_not_committed() {
    let world = repository();
    world.write("app/new", "x");
    let push = world.dotcloud(["push", "--git"]).with_status(0);
    push.position("not uploaded: 1 path(s) with uncommitted changes");
    assert_eq!(world.run("db", "cat ~/uploaded"), "builder\nserver\n");
    let first = world.dotcloud(["revisions"]).with_status(0).stdout;
    assert!(first.starts_with("* git-"), "{first}");

    // What is there, whatever is committed.
    world.dotcloud(["push"]).with_status(0);
    let uploaded = "builder\nmysql.tar.gz\nnew\nserver\n";
    assert_eq!(world.run("db", "cat ~/uploaded"), uploaded);

    git(&world, &["checkout", "--quiet", "-b", "other"]);
    git(&world, &["add", "."]);
    git(&world, &["commit", "--quiet", "--message=second"]);
    world.dotcloud(["push", "-b", "other"]).with_status(0);
    assert_eq!(world.run("db", "cat ~/uploaded"), "builder\nnew\nserver\n");
    // The commit that was pushed first is now the one that was pushed last.
    let commit = first.trim_start_matches("* git-").trim_end();
    world.dotcloud(["push", "-c", commit]).with_status(0);
    assert_eq!(world.run("db", "cat ~/uploaded"), "builder\nserver\n");
    let listed = world.dotcloud(["revisions"]).with_status(0).stdout;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.ends_with(&first), "{listed}");
}

#[test]
fn hg_push_omits_what_hg_ignores_and_what_is_not_committed() {
    let world = World::new(RUNTIME).unwrap();
    let hg = |directory: &str, words: &[&str]| {
        let mut hg = Command::new("hg");
        hg.env("HGPLAIN", "1")
            .args(["--config", "ui.username=x"])
            .args(words)
            .current_dir(world.code(directory));
        assert!(hg.status().unwrap().success(), "{words:?}");
    };
    world.write(".hgignore", "syntax: glob\n*.tar.gz\n.dotcloud\n");
    world.write("app/mysql.tar.gz", "x");
    world.script("app/builder", "cp app/server ~; ls app > ~/uploaded");
    hg("", &["init"]);
    world.write("app/lib/inner", "");
    hg("app/lib", &["init"]);
    hg(
        "app/lib",
        &["commit", "--addremove", "--quiet", "--message=x"],
    );
    world.write(".hgsub", "app/lib = app/lib\n");
    hg("", &["commit", "--addremove", "--quiet", "--message=first"]);
    world.write("app/new", "x");
    let connect = world.dotcloud(["connect", "app", "--hg"]).with_status(0);
    connect.position("Connected with default push options: --hg (app)");
    let push = world.push(0);
    push.position("not uploaded: 1 path(s) with uncommitted changes");
    push.position("not uploaded: app/lib: a repository of its own");
    assert_eq!(world.run("db", "cat ~/uploaded"), "builder\nserver\n");
    let first = world.dotcloud(["revisions"]).with_status(0).stdout;
    assert!(first.starts_with("* hg-"), "{first}");

    hg("", &["branch", "--quiet", "other"]);
    hg(
        "",
        &["commit", "--addremove", "--quiet", "--message=second"],
    );
    world.dotcloud(["push", "-b", "other"]).with_status(0);
    assert_eq!(world.run("db", "cat ~/uploaded"), "builder\nnew\nserver\n");
    let commit = first.trim_start_matches("* hg-").trim_end();
    world.dotcloud(["push", "-c", commit]).with_status(0);
    assert_eq!(world.run("db", "cat ~/uploaded"), "builder\nserver\n");
    let push = world.dotcloud(["push", "-b", "none"]).with_status(1);
    push.position("there is no branch or commit 'none' in ");
}

#[test]
fn connection_remembers_the_protocol_and_a_branch_that_is_not_there_is_refused() {
    let world = repository();
    let connect = ["connect", "app", "--git", "-b", "stable"];
    let connect = world.dotcloud(connect).with_status(0);
    connect.position("Connected with default push options: --git --branch stable (app)");
    let push = world.push(1);
    push.position("there is no branch or commit 'stable' in ");
    git(&world, &["branch", "stable"]);
    world.push(0);
    let listed = world.dotcloud(["revisions"]).with_status(0).stdout;
    assert!(listed.starts_with("* git-"), "{listed}");
    world.dotcloud(["push", "--rsync"]).with_status(0);
    let listed = world.dotcloud(["revisions"]).with_status(0).stdout;
    assert!(listed.contains("* rsync-"), "{listed}");
}

#[test]
fn git_push_of_what_is_no_repository_tells_what_git_said() {
    let world = World::new(RUNTIME).unwrap();
    let push = world.dotcloud(["push", "--git"]).with_status(1);
    push.position("git cannot tell what is committed");
    push.position("fatal: not a git repository");
    push.position("next: do what git asks for, or push the files as they are with --rsync");
}

#[test]
fn verbose_push_names_every_file() {
    let world = World::new(RUNTIME).unwrap();
    world.write("app/old", "x");
    let push = world.dotcloud(["push", "--verbose"]).with_status(0);
    assert!(push.stderr.contains("==> uploaded app/old\n"), "{push:?}");
    std::fs::remove_file(world.code("app/old")).unwrap();
    let push = world.dotcloud(["push", "--verbose"]).with_status(0);
    assert!(push.stderr.contains("==> removed app/old\n"), "{push:?}");
    assert!(!push.stderr.contains("==> uploaded "), "{push:?}");
}

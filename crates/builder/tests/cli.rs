//! The built executable: what it answers, what it builds, and that a second run and a refusal
//! change nothing.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod service;

use std::fs;
use std::path::Path;
use testbed::sandbox;

use sandbox::{Sandbox, assert_refused, mode, set_mode};
use service::{BUILDER, SCRIPT, builder, gzip, refused, service, service_with, vendors};

/// The id of the only release, which holds a digest that depends on the compressor.
fn release(sandbox: &Sandbox) -> String {
    let mut names = fs::read_dir(sandbox.home().join("mysql/releases")).unwrap();
    let name = names.next().unwrap().unwrap().file_name();
    assert!(names.next().is_none());
    name.into_string().unwrap()
}

#[test]
fn arguments_are_answered_or_refused() {
    let example = "cd code && HOME=/home/dotcloud SERVICE_APPROOT=hooks hooks/builder";
    sandbox::assert_answers(BUILDER, "builder", builder::ABOUT, example);
}

#[test]
fn build_twice_builds_once() {
    let sandbox = service_with(SCRIPT.as_bytes());
    let first = sandbox.outcome(&mut builder(&sandbox));
    let id = release(&sandbox);
    assert_eq!(
        first.stderr,
        "builder 0.1.0\n\
         - tarball {dir}/code/hooks/m.tar.gz\n\
         - unpacked 4 files, 0 MB\n\
         - found MySQL 9.7.4, as the server itself says\n\
         - no time zone tables: the tarball has no mysql_tzinfo_to_sql\n\
         - initialised a database, root locked, as the seed of every first start: 0 kB\n\
         - MySQL 9.7.4 is ready in {dir}/home\n"
    );
    assert_eq!((first.code, first.stdout.as_str()), (Some(0), ""));
    let home = sandbox.home();
    for (name, permissions) in [
        ("postinstall", 0o755),
        ("starttest", 0o755),
        ("profile", 0o644),
        ("mysql/my.cnf", 0o600),
        ("mysql/install/bin/mysqld", 0o555),
    ] {
        assert_eq!(mode(&home.join(name)), permissions, "{name}");
    }
    let names = |dir: &str| fs::read_dir(home.join(dir)).unwrap().count();
    assert_eq!((names("."), names("mysql")), (4, 4), "no leftovers");

    let before = sandbox.listing();
    let second = sandbox.outcome(&mut builder(&sandbox));
    assert_eq!(
        second.stderr,
        format!(
            "builder 0.1.0\n\
             - tarball {{dir}}/code/hooks/m.tar.gz\n\
             - kept release {id}, the same tarball as before\n\
             - no time zone tables: the tarball has no mysql_tzinfo_to_sql\n\
             - kept the seed, the same release\n\
             - MySQL 9.7.4 is ready in {{dir}}/home\n"
        )
    );
    assert_eq!(sandbox.listing(), before);
}

#[test]
fn new_tarball_replaces_the_release_and_a_broken_one_does_not() {
    let sandbox = service_with(SCRIPT.as_bytes());
    assert_eq!(sandbox.outcome(&mut builder(&sandbox)).code, Some(0));
    let old = release(&sandbox);
    let newer = SCRIPT.replace("9.7.4", "9.8.0");
    let whole = gzip(&vendors(newer.as_bytes()));
    sandbox.write("code/hooks/m.tar.gz", &whole[..whole.len() / 2]);
    let before = sandbox.listing();
    assert_eq!(sandbox.outcome(&mut builder(&sandbox)).code, Some(1));
    assert_eq!(sandbox.listing(), before, "the previous build still stands");

    sandbox.write("code/hooks/m.tar.gz", &whole);
    let built = sandbox.outcome(&mut builder(&sandbox));
    let dropped = format!("- dropped release {old}\n");
    assert!(built.stderr.contains(&dropped), "{}", built.stderr);
    let link = fs::read_link(sandbox.home().join("mysql/install")).unwrap();
    assert_eq!(link, Path::new("releases").join(release(&sandbox)));
}

#[test]
fn killed_build_is_forgotten_by_the_next() {
    let sandbox = service_with(SCRIPT.as_bytes());
    sandbox.write("home/mysql/releases/.unpacking-x/m/bin/mysqld", "half");
    assert_eq!(sandbox.outcome(&mut builder(&sandbox)).code, Some(0));
    assert!(release(&sandbox).starts_with("m-"));
}

#[test]
fn home_unusable_is_refused() {
    let sandbox = service_with(SCRIPT.as_bytes());
    let next =
        "  next: set HOME to the service's home directory, as an absolute path that exists\n";
    refused(
        &sandbox,
        builder(&sandbox).env_remove("HOME"),
        &format!("builder: error: HOME is not set\n{next}"),
    );
    refused(
        &sandbox,
        builder(&sandbox).env("HOME", "../home"),
        &format!("builder: error: HOME is '../home', which is not an absolute path\n{next}"),
    );
    refused(
        &sandbox,
        builder(&sandbox).env("HOME", sandbox.path().join("absent")),
        &format!(
            "builder: error: cannot find the home directory {{dir}}/absent\n  cause: no such file \
             or directory (os error 2)\n{next}"
        ),
    );
    refused(
        &sandbox,
        builder(&sandbox).env("HOME", sandbox.approot()),
        "builder: error: the home directory and the approot are the same, {dir}/code/hooks\n  \
         next: set HOME to a directory of its own: builder copies the approot's files there\n",
    );
    set_mode(&sandbox.home(), 0o555);
    refused(
        &sandbox,
        &mut builder(&sandbox),
        "- tarball {dir}/code/hooks/m.tar.gz\n\
         builder: error: cannot prepare {dir}/home/mysql/releases\n  \
         cause: permission denied (os error 13)\n  \
         next: make room on the disk, or make it writable for this user, push again\n",
    );
}

#[test]
fn approot_unusable_is_refused() {
    let sandbox = service();
    refused(
        &sandbox,
        builder(&sandbox).env("SERVICE_APPROOT", "hoks"),
        "builder: error: cannot find the approot {dir}/code/hoks\n  \
         cause: no such file or directory (os error 2)\n  \
         next: correct approot in dotcloud.yml, or call builder in the directory of \
         dotcloud.yml\n",
    );
    refused(
        &sandbox,
        &mut builder(&sandbox),
        "builder: error: no server tarball in {dir}/code/hooks\n  \
         next: put the vendor's Linux tarball (.tar.xz or .tar.gz) there, best made small with \
         'repack', push again; git does not upload what .gitignore names\n",
    );
    sandbox.write("code/hooks/a.tar.gz", "a");
    refused(
        &sandbox,
        builder(&sandbox).env("MYSQL_TARBALL", "c.tar.gz"),
        "builder: error: MYSQL_TARBALL is 'c.tar.gz', which is not a tarball in \
         {dir}/code/hooks\n  next: set MYSQL_TARBALL to one of: a.tar.gz\n",
    );
    sandbox.write("code/hooks/b.tar.xz", "b");
    refused(
        &sandbox,
        &mut builder(&sandbox),
        "builder: error: 2 server tarballs in {dir}/code/hooks: a.tar.gz, b.tar.xz\n  \
         next: keep one of them there, or set MYSQL_TARBALL to its name, push again\n",
    );
}

#[test]
fn my_cnf_unusable_is_refused() {
    let sandbox = service_with(SCRIPT.as_bytes());
    sandbox.write(
        "code/hooks/my.cnf",
        "[mysqld]\nmax-connections = 1\n[mysql\n",
    );
    refused(
        &sandbox,
        &mut builder(&sandbox),
        "- tarball {dir}/code/hooks/m.tar.gz\n\
         builder: error: {dir}/code/hooks/my.cnf:3:1: group header without its closing ']'\n  \
         | 3:1: group header without its closing ']'\n  |   [mysql\n  \
         |   accepted: [mysqld]\n  \
         next: correct my.cnf, push again\n",
    );
    let my_cnf = sandbox.write("code/hooks/my.cnf", "[mysqld]\n");
    set_mode(&my_cnf, 0);
    // Not `refused`: the listing could not read it either.
    assert_refused(
        &sandbox.outcome(&mut builder(&sandbox)),
        "builder",
        "- tarball {dir}/code/hooks/m.tar.gz\n\
         builder: error: cannot read {dir}/code/hooks/my.cnf\n  \
         cause: permission denied (os error 13)\n  \
         next: make it readable for this user, push again\n",
    );
    assert_eq!(fs::read_dir(sandbox.home()).unwrap().count(), 0);
    fs::remove_file(my_cnf).unwrap();
    refused(
        &sandbox,
        &mut builder(&sandbox),
        "- tarball {dir}/code/hooks/m.tar.gz\n\
         builder: error: cannot read {dir}/code/hooks/my.cnf\n  \
         cause: no such file or directory (os error 2)\n  \
         next: the approot needs my.cnf, profile, postinstall and starttest ('make hooks' builds \
         the last two); add it, push again\n",
    );
}

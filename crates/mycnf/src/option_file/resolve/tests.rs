//! Includes: order, places, what is left out and what is refused. That the servers see the same is
//! for `tests/my_print_defaults.rs`.

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

/// A home directory with `files`.
fn home(files: &[(&str, &str)]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    home
}

fn resolve(home: &TempDir, text: &str) -> Result<Resolved, IncludeError> {
    OptionFile::parse(&home.path().join("my.cnf"), text.as_bytes())
        .unwrap()
        .resolve(home.path())
}

fn names(resolved: &Resolved) -> String {
    let names: Vec<_> = resolved
        .options(&["mysqld"])
        .map(|value| String::from_utf8(value.name.clone()).unwrap())
        .collect();
    names.join(" ")
}

#[test]
fn resolve_included_options_stand_where_the_directive_is() {
    let home = home(&[
        ("x.cnf", "[client]\nc\n[mysqld]\nx=1\n!include y.cnf\nz\n"),
        ("y.cnf", "[mysqld]\nx=2\n[mysql]\n"),
    ]);
    let resolved = resolve(&home, "!include x.cnf\n[mysqld]\na\n!include x.cnf\nb\n").unwrap();
    assert_eq!(names(&resolved), "x x z a x x z b");
    assert!(resolved.skipped.is_empty());
    let found = resolved.get(&["mysqld"], "loose_x");
    assert_eq!(found, None);
    let found = resolved.get(&["mysqld"], "x").unwrap();
    assert_eq!(found.value.unwrap(), b"2");
    assert_eq!(
        found.place.to_string(),
        format!("{}:2", home.path().join("y.cnf").display())
    );
}

#[test]
fn resolve_directory_reads_cnf_files_in_the_order_of_their_bytes() {
    let file = |name: &str| format!("[mysqld]\n{name}\n");
    let names_ = [
        "b.cnf", "B.cnf", ".h.cnf", ".cnf", "10.cnf", "9.cnf", "a.b.cnf", "no.ini", "no.CNF",
        "no.cnf~", "cnf",
    ];
    let files: Vec<_> = names_.map(|name| (format!("d/{name}"), file(name))).into();
    let files: Vec<_> = files.iter().map(|(n, t)| (&n[..], &t[..])).collect();
    let home = home(&files);
    for text in ["!includedir d\n", "!includedir ./x/../d/\n"] {
        fs::create_dir_all(home.path().join("x")).unwrap();
        assert_eq!(
            names(&resolve(&home, text).unwrap()),
            ".cnf .h.cnf 10.cnf 9.cnf B.cnf a.b.cnf b.cnf",
            "{text}"
        );
    }
}

#[test]
fn resolve_paths_are_the_servers() {
    let home = home(&[("d/x.cnf", "[mysqld]\nx\n"), ("x.cnf", "[mysqld]\ny\n")]);
    for (path, names_, reason) in [
        ("d/x.cnf", "x", "below the working directory"),
        ("~/d/x.cnf", "x", "below home"),
        ("d//.///x.cnf", "x", "blanks of a path"),
        ("nowhere/../x.cnf", "y", ".. is taken out of the text"),
        ("~/d/nowhere/../../x.cnf", "y", "twice"),
        ("x.cnf/", "", "a file is no directory"),
        ("~", "", "a file of that name"),
    ] {
        let resolved = resolve(&home, &format!("!include {path}\n")).unwrap();
        assert_eq!(names(&resolved), names_, "{reason}");
        assert_eq!(resolved.skipped.is_empty(), !names_.is_empty(), "{reason}");
    }
}

#[test]
fn resolve_left_out_has_exact_text() {
    let home = home(&[("writable.cnf", "[mysqld]\nx\n"), ("d/x.cnf", "")]);
    let writable = home.path().join("writable.cnf");
    fs::set_permissions(writable, fs::Permissions::from_mode(0o666)).unwrap();
    let long = "x".repeat(509);
    for (path, shown, reason) in [
        ("none.cnf", "{home}/none.cnf", "it is not there"),
        (
            "d/x.cnf/y",
            "{home}/d/x.cnf/y",
            "it cannot be read (not a directory)",
        ),
        ("d", "{home}/d", "it is not a file"),
        (
            "writable.cnf",
            "{home}/writable.cnf",
            "anybody may write it, so that the servers ignore it",
        ),
        (
            &long,
            &format!("{{home}}/{long}"),
            "the servers ignore paths of more than 508 bytes",
        ),
        (
            "~root/x.cnf",
            "~root/x.cnf",
            "only ~/ at its start is understood here; what it sets is not known",
        ),
        (
            "/a/~/x.cnf",
            "/a/~/x.cnf",
            "only ~/ at its start is understood here; what it sets is not known",
        ),
    ] {
        let text = format!("[mysqld]\n!include {path}\ny\n");
        let resolved = resolve(&home, &text).unwrap();
        assert_eq!(names(&resolved), "y");
        let told: Vec<_> = resolved.skipped.iter().map(Skipped::to_string).collect();
        let home = home.path().display().to_string();
        let shown = shown.replace("{home}", &home);
        assert_eq!(
            told,
            [format!("{home}/my.cnf:2: {shown} is left out: {reason}")]
        );
    }
}

#[test]
fn resolve_ten_includes_deep_is_read_and_the_eleventh_left_out() {
    let files: Vec<_> = (1..=11)
        .map(|at| {
            let text = format!("[mysqld]\nat{at}\n!include {}.cnf\n", at + 1);
            (format!("{at}.cnf"), text)
        })
        .collect();
    let files: Vec<_> = files.iter().map(|(n, t)| (&n[..], &t[..])).collect();
    let home = home(&files);
    let resolved = resolve(&home, "!include 1.cnf\n").unwrap();
    assert_eq!(names(&resolved), "at1 at2 at3 at4 at5 at6 at7 at8 at9 at10");
    let directory = home.path().display();
    assert_eq!(
        resolved.skipped[0].to_string(),
        format!(
            "{directory}/10.cnf:3: 11.cnf is left out: the servers follow ten includes inside one \
             another and no more"
        )
    );
}

#[test]
fn resolve_impossible_has_exact_text() {
    let home = home(&[
        ("flawed.cnf", "[mysqld]\nx\n[oops\ny\n"),
        ("a.cnf", "[mysqld]\n!include b.cnf\n"),
        ("b.cnf", "!includedir nowhere\n"),
        ("round.cnf", "!include ./round-again.cnf\n"),
        ("self/x.cnf", "!includedir self\n"),
    ]);
    fs::hard_link(
        home.path().join("round.cnf"),
        home.path().join("round-again.cnf"),
    )
    .unwrap();
    for (directive, text) in [
        (
            "!include flawed.cnf",
            "cannot use {home}/flawed.cnf, included by {home}/my.cnf:1",
        ),
        (
            "!include a.cnf",
            "cannot read the directory {home}/nowhere, included by {home}/b.cnf:1",
        ),
        (
            "!includedir ~/self",
            "cannot read the directory {home}/~/self, included by {home}/my.cnf:1",
        ),
        (
            "!include round.cnf",
            "{home}/round-again.cnf is included by {home}/round.cnf:1 while it is being read itself",
        ),
        (
            "!includedir self",
            "{home}/self/x.cnf is included by {home}/self/x.cnf:1 while it is being read itself",
        ),
    ] {
        let error = resolve(&home, &format!("{directive}\n")).unwrap_err();
        let home = home.path().display().to_string();
        assert_eq!(error.to_string(), text.replace("{home}", &home));
    }
}

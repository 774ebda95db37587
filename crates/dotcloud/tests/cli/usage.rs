//! What the command line itself says: help, manual pages, wrong usage.

use crate::Place;

#[test]
fn version_has_the_form_of_the_platforms_client() {
    let version = concat!("dotcloud/", env!("CARGO_PKG_VERSION"), "\n");
    Place::new().says(&["-v"], 0, version, "");
    Place::new().says(&["--version"], 0, version, "");
}

#[test]
fn every_verb_has_help_with_an_example() {
    let place = Place::new();
    for verb in [
        "list",
        "create",
        "connect",
        "disconnect",
        "app",
        "push",
        "info",
        "status",
        "url",
        "logs",
        "run",
        "restart",
        "destroy",
        "env",
        "scale",
        "revisions",
        "deploy",
        "dlist",
        "dlogs",
        "completions",
        "man",
    ] {
        let output = place.dotcloud(&[verb, "--help"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && text.contains("Example"),
            "{text}"
        );
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn wrong_usage_ends_with_1() {
    let place = Place::new();
    for words in [
        &["bogus"][..],
        &["create"],
        &["restart"],
        &["-y", "-o", "list"],
        &[],
    ] {
        let output = place.dotcloud(words).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn completions_and_manual_pages_know_every_verb() {
    let place = Place::new();
    let printed = |words: &[&str]| {
        let output = place.dotcloud(words).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completions", shell]);
        for word in ["push", "dlogs", "scale", "json"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let page = printed(&["man"]);
    assert!(page.contains("dotcloud\\-push(1)"), "{page}");
    let page = printed(&["man", "push"]);
    assert!(page.contains(".TH dotcloud-push 1"), "{page}");
    assert!(page.contains("DOTCLOUD_BUILD_LIMIT"), "{page}");
    let page = printed(&["man", "env", "set"]);
    assert!(page.contains(".TH dotcloud-env-set 1"), "{page}");
    for hidden in ["gateway", "bogus"] {
        let said = format!(
            "dotcloud: error: there is no verb '{hidden}'\n  next: 'dotcloud --help' tells which \
             there are\n"
        );
        place.says(&["man", hidden], 1, &said, "");
    }
    assert!(!place.state().exists());
}

//! parse → edit → render → parse: what was set is read back, everything else is as it was.
#![no_main]

use std::path::Path;

use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use mycnf::{OptionFile, Value};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    set: Vec<Edit<'a>>,
    text: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Edit<'a> {
    group: Group,
    last: bool,
    value: &'a [u8],
    why: &'a str,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Group {
    Mysqld,
    Client,
}

impl Group {
    fn name(self) -> &'static str {
        match self {
            Self::Mysqld => "mysqld",
            Self::Client => "client",
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let Ok(mut file) = OptionFile::parse(Path::new("my.cnf"), input.text) else {
        return;
    };
    for edit in input.set.iter().take(4) {
        // What no option file can hold.
        if edit.value.len() > 1024 || edit.value.contains(&0) || edit.why.contains('\0') {
            continue;
        }
        let others = without_port(&file);
        let group = edit.group.name();
        if edit.last {
            file.set_last(group, "port", edit.value, edit.why);
        } else {
            file.set(group, "port", edit.value, edit.why);
        }
        let found = file.get(&[group], "port").expect("it was set");
        assert_eq!(found.value.as_deref(), Some(edit.value));
        assert_eq!(without_port(&file), others);

        let rendered = file.render();
        let again = OptionFile::parse(Path::new("my.cnf"), &rendered).expect("it was accepted");
        assert_eq!(again.render(), rendered);
        assert_eq!(options(&again), options(&file));
        assert!(again.includes().eq(file.includes()));
    }
});

fn options(file: &OptionFile) -> Vec<Value> {
    file.options(&["mysqld", "client"]).collect()
}

/// Everything but the option that is edited, wherever it stands.
fn without_port(file: &OptionFile) -> Vec<(Vec<u8>, Option<Vec<u8>>, Vec<u8>)> {
    file.options(&["mysqld", "client"])
        .filter(|option| !option.name.ends_with(b"port"))
        .map(|option| (option.name, option.value, option.group))
        .collect()
}

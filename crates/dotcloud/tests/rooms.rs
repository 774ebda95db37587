//! Who may know whom: the rooms of the sources, from the top down. A room imports from itself and from those
//! below it. (What a test module imports does not count.)

use std::fs;
use std::path::Path;

use walkdir::WalkDir;

/// From the top down, as the head of lib.rs lists them.
fn rooms(library: &str) -> Vec<&str> {
    library
        .lines()
        .filter_map(|line| line.strip_prefix("//! ")?.split('`').nth(1))
        .collect()
}

/// The rooms that the text of one file names, as in `crate::host::files`.
fn named<'t>(text: &'t str, rooms: &[&str]) -> Vec<&'t str> {
    let of_the_product = text.split("#[cfg(test)]").next().unwrap_or_default();
    let named = of_the_product.split("crate::").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        rooms.contains(&&rest[..end]).then_some(&rest[..end])
    });
    named.collect()
}

#[test]
fn imports_lead_downwards_only() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let library = fs::read_to_string(sources.join("lib.rs")).unwrap();
    let rooms = rooms(&library);
    let floor = |room: &str| rooms.iter().position(|it| *it == room);
    let (mut upwards, mut seen) = (Vec::new(), 0);
    for entry in WalkDir::new(&sources).sort_by_file_name() {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(&sources).unwrap();
        let path = path.to_str().unwrap();
        let own = path.split('/').next().unwrap().trim_end_matches(".rs");
        if entry.file_type().is_dir() || own == "lib" || own == "main" || path.contains("/tests") {
            continue;
        }
        let below = floor(own).unwrap_or_else(|| panic!("{path} is in none of {rooms:?}"));
        for other in named(&fs::read_to_string(entry.path()).unwrap(), &rooms) {
            seen += 1;
            if floor(other) < Some(below) {
                upwards.push(format!("{path} imports from {other}"));
            }
        }
    }
    assert!(seen > 200, "only {seen} imports were found");
    assert_eq!(upwards, Vec::<String>::new());
}

#[test]
fn page_on_the_architecture_names_files_that_are_there() {
    let page = include_str!("../../../docs/internals/architecture.md");
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let table = page.split("| --- | --- |").nth(1).unwrap();
    let quoted = table.split('`').skip(1).step_by(2);
    let named: Vec<&str> = quoted
        .filter(|it| Path::new(it).extension().is_some())
        .collect();
    assert!(named.len() >= 10, "{named:?}");
    for name in named.iter().filter(|name| !name.contains('*')) {
        assert!(crates.join(name).is_file(), "{name} is not there");
    }
}

//! The page of `--report`: its numbers, what hostile names make of it, and when it is written.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::tarball::{Tarball, gzip, vendor};
use crate::{Case, text};

/// Every kind of tag that the page has of its own.
#[rustfmt::skip]
const KNOWN: [&str; 31] = [
    "!doctype", "!--", "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p",
    "dl", "div", "dt", "dd", "small", "figure", "figcaption", "b", "span", "ul", "li", "i",
    "table", "thead", "tbody", "tr", "th", "td", "footer",
];

fn tags(page: &str) -> Vec<String> {
    let (head, rest) = page.split_once("<style>").unwrap();
    let markup = [head, rest.split_once("</style>").unwrap().1].concat();
    let tags = markup.split('<').skip(1).map(|tag| {
        let name = tag.trim_start_matches('/');
        name[..name.find([' ', '>']).unwrap_or(name.len())].to_owned()
    });
    tags.collect()
}

/// What the table says: of each row its name, files and bytes.
fn rows(page: &str) -> Vec<(String, u64, u64)> {
    let number = |row: &str, name: &str| -> u64 {
        let start = row.find(name).unwrap() + name.len() + 2;
        let end = row[start..].find('"').unwrap();
        row[start..start + end].parse().unwrap()
    };
    let rows = page.lines().filter(|line| line.starts_with("<tr"));
    rows.map(|row| {
        let name = row.split("</th>").next().unwrap();
        let name = name.rsplit('>').next().unwrap().to_owned();
        (name, number(row, "data-files"), number(row, "data-bytes"))
    })
    .collect()
}

fn report(case: &Case, arguments: &[&str]) -> (String, Value) {
    let arguments = [&["in.tar.gz", "--json", "--report", "r.html"], arguments].concat();
    let output = case.run(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = fs::read_to_string(case.path("r.html")).unwrap();
    (page, serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn report_has_the_numbers_of_the_json() {
    let input = vendor()
        .file("my-1/lib/plugin/large.so", 0o644, &[b'x'; 5000])
        .file("my-1/docs/manual.txt", 0o644, b"text");
    let case = Case::new(&gzip(&input.bytes()));
    let (page, json) = report(&case, &["--drop", "docs"]);
    let mut table: BTreeMap<String, (u64, u64)> = rows(&page)
        .into_iter()
        .map(|(name, files, bytes)| (name, (files, bytes)))
        .collect();
    let mut take = |name: &str| {
        table
            .remove(name)
            .unwrap_or_else(|| panic!("no row {name}"))
    };
    let count = |value: &Value| {
        (
            value["files"].as_u64().unwrap(),
            value["bytes"].as_u64().unwrap(),
        )
    };
    let kept = take("all that is kept");
    assert_eq!(kept, count(&json["kept"]));
    let left_out = take("all that is left out");
    let mut sum = (0, 0);
    for (category, dropped) in json["dropped"].as_object().unwrap() {
        assert_eq!(take(category), count(dropped), "{category}");
        sum = (sum.0 + count(dropped).0, sum.1 + count(dropped).1);
    }
    assert_eq!(left_out, sum);
    assert_eq!(table.remove("lib/plugin/large.so"), Some((1, 5000)));
    let others = table
        .values()
        .fold((1, 5000), |sum, row| (sum.0 + row.0, sum.1 + row.1));
    assert_eq!(others, kept, "the other rows are what is kept");
    let size = fs::metadata(case.path("in-repacked.tar.zst"))
        .unwrap()
        .len();
    assert_eq!(json["output_bytes"], size);
    assert!(page.contains(&format!("<dd>{size} B <small>")), "{page}");
}

#[test]
fn report_draws_each_row_with_bytes_before_and_what_is_kept_after() {
    let case = Case::new(&gzip(&vendor().bytes()));
    let (page, _) = report(&case, &[]);
    let (before, after) = page.split_once("<b>After</b>").unwrap();
    let tiles = |figure: &str, class: &str| figure.matches(&format!("\"tile {class}\"")).count();
    let of = |kind: &str| {
        let rows = rows(&page).len();
        let row = |line: &&str| line.starts_with("<tr>") && line.contains(kind);
        assert!(rows > 3);
        page.lines()
            .filter(row)
            .filter(|row| !row.contains("data-bytes=\"0\""))
            .count()
    };
    assert_eq!(tiles(before, "kept"), of("<td>kept</td>"));
    assert_eq!(tiles(before, "out"), of("<td>left out</td>"));
    assert_eq!(tiles(after, "kept"), tiles(before, "kept"));
    assert_eq!(tiles(after, "out"), 0);
    // For whoever uses no mouse or sees nothing.
    let tile = "tabindex=\"0\" aria-label=\"test suite, left out: 2.00 kB in 2 files, 98.";
    assert!(before.contains(tile), "{before}");
}

#[test]
fn report_needs_nothing_else_and_is_the_same_every_time() {
    let case = Case::new(&gzip(&vendor().bytes()));
    let (page, _) = report(&case, &["--threads", "1"]);
    for outside in [
        "http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
    let (again, _) = report(&case, &["--threads", "3"]);
    assert!(page == again);
    assert_eq!(case.files(), ["in-repacked.tar.zst", "in.tar.gz", "r.html"]);
}

#[test]
fn report_shows_hostile_names_as_text() {
    let hostile = "<script>alert(\"1\")<!--'&\u{202e}\u{1b}[2J";
    let input = vendor()
        .file(&format!("my-1/{hostile}/large"), 0o644, &[b'x'; 9000])
        .file(&format!("my-1/share/{hostile}"), 0o644, &[b'x'; 9000])
        .symlink(&format!("my-1/{hostile}-"), "bin/mysqltest");
    let case = Case::new(&gzip(&Tarball::bytes(input)));
    let renamed = "<img src=x onerror=alert(1)>.tar.gz";
    durable::rename_unsynced(case.path("in.tar.gz"), case.path(renamed)).unwrap();
    let arguments = [
        renamed,
        "-o",
        "\"><b>.gz",
        "--report",
        "r.html",
        "--drop",
        "<i>",
    ];
    let output = case.run(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = fs::read_to_string(case.path("r.html")).unwrap();
    for tag in tags(&page) {
        assert!(KNOWN.contains(&tag.as_str()), "<{tag}>");
    }
    assert_eq!(page.matches("<!--").count(), 1);
    assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;!--&#39;&amp;\\u{202e}"));
    assert!(page.contains("<h1>&lt;img src=x onerror=alert(1)&gt;.tar.gz</h1>"));
    assert!(page.contains("became &quot;&gt;&lt;b&gt;.gz</p>"));
    assert!(page.contains("--drop &#39;&lt;i&gt;&#39; matches nothing"));
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'));
}

#[test]
fn report_of_a_dry_run_is_all_that_is_written() {
    let case = Case::new(&gzip(&vendor().bytes()));
    let (page, _) = report(&case, &["--dry-run"]);
    assert!(page.contains("a dry run: nothing was written"));
    assert_eq!(case.files(), ["in.tar.gz", "r.html"]);
}

#[test]
fn report_that_cannot_be_written_stops_the_run_before_it_starts() {
    let case = Case::new(&gzip(&vendor().bytes()));
    case.refuses(
        &["--report", "absent/r.html"],
        "repack: error: cannot create absent/.r.html.repack-partial\n  \
         cause: no such file or directory (os error 2)\n  \
         next: check that the directory exists and is yours, or choose another place with -o\n",
    );
    case.refuses(
        &["--report", "in.tar.gz"],
        "repack: error: the output in.tar.gz is the input itself\n  \
         next: choose another file with -o\n",
    );
}

#[test]
fn report_of_an_earlier_run_survives_a_failure() {
    let case = Case::new(&gzip(&vendor().bytes()[..4096]));
    fs::write(case.path("r.html"), "earlier").unwrap();
    // A leftover of a killed run.
    fs::write(
        case.path(".r.html.repack-partial"),
        "<!doctype html>\n<!-- repack --report -->\n<",
    )
    .unwrap();
    let output = case.run(&["in.tar.gz", "--report", "r.html"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read(case.path("r.html")).unwrap(), b"earlier");
    assert_eq!(case.files(), ["in.tar.gz", "r.html"]);
}

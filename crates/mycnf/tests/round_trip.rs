//! An unedited option file renders back byte for byte.

use std::fs;
use std::path::Path;

use mycnf::OptionFile;

#[test]
fn render_unedited_file_is_the_file() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/option_files");
    let mut files = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let rendered = OptionFile::parse(&path, &bytes).unwrap().render();
        assert!(rendered == bytes, "{} changed", path.display());
        files += 1;
    }
    assert!(files > 10, "the corpus is gone");
}

//! parse → render: whatever is accepted comes back byte for byte, and nothing makes the parser fall.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use mycnf::OptionFile;

fuzz_target!(|bytes: &[u8]| {
    match OptionFile::parse(Path::new("my.cnf"), bytes) {
        Ok(file) => assert_eq!(file.render(), bytes),
        Err(error) => assert!(!error.detail().is_empty()),
    }
});

//! In a process of its own: it concerns every descriptor there is.

use std::process::Command;

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

#[test]
fn keep_descriptors_keeps_what_is_open_already() {
    let (reader, writer) = std::io::pipe().unwrap();
    fcntl_setfd(&reader, FdFlags::empty()).unwrap();
    hook::keep_descriptors();
    assert_eq!(fcntl_getfd(&reader).unwrap(), FdFlags::CLOEXEC);
    let output = Command::new("/bin/ls").arg("/proc/self/fd").output();
    // Three streams, and the directory itself.
    let listed = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(listed.lines().count(), 4, "{listed}");
    drop(writer);
}

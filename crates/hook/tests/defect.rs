//! In a process of its own: a defect ends it.

use std::process::{Command, Stdio};
use std::thread;

/// Not a test by itself: what the one below runs.
#[test]
#[ignore = "ends its process"]
fn has_a_defect() {
    hook::watch_for_defects("starttest");
    let _ = thread::spawn(|| panic!("of a thread")).join();
}

#[test]
fn defect_of_any_thread_ends_the_process_with_70() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "has_a_defect", "--nocapture"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(70));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.ends_with(
            "starttest: error: starttest stopped at a defect of its own\n  next: report it with \
             the lines above\n"
        ),
        "{stderr}"
    );
    assert!(stderr.contains("of a thread"), "{stderr}");
}

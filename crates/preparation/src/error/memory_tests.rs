//! What is said of a memory limit in which the server would be killed, and of one that cannot be told.

use mycnf::MemoryError;

use super::tests::{assert_rendered, path};
use super::*;

#[test]
fn memory_inputs_have_exact_texts() {
    let (variable, value) = ("MYSQL_MEMORY".to_owned(), "lots".into());
    assert_rendered(
        SettingsError::Memory { variable, value },
        "MYSQL_MEMORY is 'lots', which is not an amount of memory\n  next: set it to a whole number \
         with K, M or G, such as 512M, push again",
    );
    assert_rendered(
        SettingsError::MemoryLimit(hook::MemoryLimitError::NoTotal { path: path() }),
        "no MemTotal in /h/x\n  next: mount /proc in the container, as every Linux has it, start \
         again",
    );
}

#[test]
fn memory_errors_have_exact_texts() {
    let (needed, limit) = (256 << 20, 192 << 20);
    let memory = |error: &MemoryError, origin: MemoryOrigin| {
        let (error, service) = (error.clone(), "testbed".to_owned());
        Error::Prepare(PrepareError::Render(RenderError::Memory {
            error,
            persisted: Vec::new(),
            origin: Box::new(origin),
            service,
        }))
    };
    let cgroup = || MemoryOrigin::Cgroup {
        file: "/c/memory.max".into(),
        over: None,
    };
    let small = MemoryError::LimitTooSmall { needed, limit };
    let scale = "give it more ('dotcloud scale testbed:memory=256M'), push again";
    for (origin, told, next) in [
        (cgroup(), "from /c/memory.max", scale),
        (
            MemoryOrigin::Variable("MYSQL_MEMORY".to_owned()),
            "from MYSQL_MEMORY",
            "set MYSQL_MEMORY to 256M or more, push again",
        ),
        (
            MemoryOrigin::Machine,
            "all that this machine has",
            "take a machine with 256M or more, push again",
        ),
    ] {
        assert_rendered(
            memory(&small, origin),
            &format!(
                "the server needs 256M of memory, and the limit is 192M, {told}\n  next: {next}"
            ),
        );
    }
    let sum = "1M + 2M = 3M".to_owned();
    let large = MemoryError::OptionsTooLarge { needed, limit, sum };
    assert_rendered(
        memory(&large, cgroup()),
        &format!(
            "with the options of my.cnf the server needs 256M of memory, and the limit is 192M, from \
             /c/memory.max\n  | 1M + 2M = 3M\n  next: lower them, or {scale}"
        ),
    );
}

#[test]
fn persisted_settings_have_exact_texts() {
    let sum = "1M + 2M = 3M".to_owned();
    let (needed, limit) = (256 << 20, 192 << 20);
    assert_rendered(
        PrepareError::Render(RenderError::Memory {
            error: MemoryError::OptionsTooLarge { needed, limit, sum },
            persisted: vec!["max-connections"],
            origin: Box::new(MemoryOrigin::Variable("MYSQL_MEMORY".to_owned())),
            service: "testbed".to_owned(),
        }),
        "with the options of my.cnf the server needs 256M of memory, and the limit is 192M, from \
         MYSQL_MEMORY\n  | 1M + 2M = 3M\n  next: lower them, or set MYSQL_MEMORY to 256M or more, push \
         again; max-connections is persisted: persisted_globals_load=OFF in my.cnf starts without, \
         RESET PERSIST takes them back",
    );
    let persisted = |error| PrepareError::Render(RenderError::Persisted(error));
    assert_rendered(
        persisted(PersistedError::Damaged { path: path() }),
        "/h/x, which SET PERSIST writes, is damaged\n  next: move it out of the data directory: what \
         SET PERSIST set is lost then, start again",
    );
    assert_rendered(
        persisted(PersistedError::Read {
            path: path(),
            source: super::tests::source(),
        }),
        "cannot read /h/x\n  cause: permission denied\n  next: make it readable for this user, start \
         again",
    );
}

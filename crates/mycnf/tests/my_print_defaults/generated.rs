//! The judge over generated files: what we accept is read the same, what they refuse we refuse, and
//! an edit says to them what it says to us.

use std::env;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mycnf::{Flaw, IncludeError, OptionFile, OptionFileError, Resolved};

use crate::generator::{self, Random};
use crate::judge::{Judge, arguments};

const GROUPS: [&str; 5] = ["mark", "mysqld", "client", "x-1", "a"];

/// How many files one run of the program reads: starting it takes longer than reading them.
const BATCH: usize = 100;

/// A file, and what must be printed for it.
struct Case {
    name: String,
    expected: Vec<u8>,
}

/// A file that both sides may refuse.
enum Refusal {
    /// The servers say something too.
    Shared,
    /// Only we do, as docs/my-cnf.md says: they misread it or differ from one another.
    Ours,
}

impl Judge {
    /// `MYCNF_FILES` of them, made from `MYCNF_SEED`, which is different every time unless given.
    pub(crate) fn agrees_on_generated_files(&self) {
        let files = setting("MYCNF_FILES").unwrap_or(1000);
        let seed = setting("MYCNF_SEED").unwrap_or_else(|| getrandom::u64().unwrap());
        // Not captured by the test harness.
        let _ = writeln!(
            io::stderr(),
            "{files} generated option files for {:?}: MYCNF_SEED={seed}",
            self.flavour
        );
        let home = tempfile::tempdir().unwrap();
        let mut batch = Vec::new();
        let mut refused = 0;
        for index in 0..files {
            match self.generate(home.path(), seed, index) {
                Some(cases) => batch.extend(cases),
                None => refused += 1,
            }
            if batch.len() >= BATCH || index + 1 == files {
                self.agrees_on_batch(home.path(), &batch, seed);
                for case in batch.drain(..) {
                    fs::remove_file(home.path().join(case.name)).unwrap();
                }
            }
        }
        assert!(refused * 2 < files, "{refused} of {files} are refused");
    }

    /// Makes one file; `None` if it is refused, and rightly so.
    fn generate(&self, home: &Path, seed: u64, index: u64) -> Option<Vec<Case>> {
        let mut random = Random::new(seed, index);
        let (directory, name) = (index.to_string(), format!("{index}.cnf"));
        let generated = generator::option_file(&mut random, &directory, &name);
        for (included, text, mode) in &generated.included {
            write(&home.join(&directory).join(included), text, *mode);
        }
        let path = home.join(&name);
        write(&path, &generated.text, 0o600);
        let refusal = match read(&path, home) {
            Ok((file, resolved)) => {
                assert!(file.render() == generated.text, "seed {seed}, file {index}");
                let expected = arguments(resolved.options(&GROUPS));
                if random.one_in(100) {
                    // On its own too, for the exit status.
                    let theirs = self.run(&path, &GROUPS, home);
                    assert!(theirs.status.success(), "seed {seed}, file {index}");
                    assert_eq!(theirs.stdout, expected, "seed {seed}, file {index}");
                }
                let mut cases = vec![Case { name, expected }];
                if random.one_in(4) {
                    cases.push(edited(file, home, &mut random, index));
                }
                return Some(cases);
            }
            Err(refusal) => refusal,
        };
        if matches!(refusal, Refusal::Shared) && random.one_in(4) {
            let theirs = self.run(&path, &GROUPS, home);
            assert!(
                !theirs.stderr.is_empty(),
                "seed {seed}, file {index}: only we refuse {}",
                generated.text.escape_ascii()
            );
        }
        fs::remove_file(path).unwrap();
        None
    }

    fn agrees_on_batch(&self, home: &Path, batch: &[Case], seed: u64) {
        let mut text = b"[mark]\n".to_vec();
        for Case { name, .. } in batch {
            text.extend(format!("mark={name}\n!include {name}\n").into_bytes());
        }
        let path = home.join("batch.cnf");
        write(&path, &text, 0o600);
        let theirs = self.run(&path, &GROUPS, home);
        let mut left = &theirs.stdout[..];
        for Case { name, expected } in batch {
            let expected = [format!("--mark={name}\n").as_bytes(), expected].concat();
            left = left.strip_prefix(&expected[..]).unwrap_or_else(|| {
                panic!(
                    "seed {seed}, {name}:\n{}\n\nwe read:\n{}\n\nthey read:\n{}\n\n{}",
                    fs::read(home.join(name)).unwrap().escape_ascii(),
                    expected.escape_ascii(),
                    left[..left.len().min(expected.len() + 200)].escape_ascii(),
                    theirs.stderr.escape_ascii()
                )
            });
        }
        assert!(left.is_empty(), "seed {seed}: {}", left.escape_ascii());
    }
}

/// The file with a value set that only quotes can hold, written beside.
fn edited(mut file: OptionFile, home: &Path, random: &mut Random, index: u64) -> Case {
    let value = random.noise(12);
    let group = if random.one_in(3) {
        file.set_last("client", "port", &value, "why");
        "client"
    } else {
        file.set("mysqld", "port", &value, "why");
        "mysqld"
    };
    let name = format!("{index}-edited.cnf");
    let path = home.join(&name);
    write(&path, &file.render(), 0o600);
    let Ok((file, resolved)) = read(&path, home) else {
        panic!("an edit made {}", file.render().escape_ascii());
    };
    let found = file.get(&[group], "port").and_then(|found| found.value);
    assert_eq!(
        found.as_ref(),
        Some(&value),
        "{}",
        file.render().escape_ascii()
    );
    let expected = arguments(resolved.options(&GROUPS));
    Case { name, expected }
}

fn read(path: &Path, home: &Path) -> Result<(OptionFile, Resolved), Refusal> {
    let file = OptionFile::parse(path, &fs::read(path).unwrap()).map_err(|e| refusal(&e))?;
    match file.resolve(home) {
        Ok(resolved) => Ok((file, resolved)),
        Err(IncludeError::Flawed { source, .. }) => Err(refusal(&source)),
        Err(IncludeError::ReadDirectory { .. } | IncludeError::Cycle { .. }) => {
            Err(Refusal::Shared)
        }
    }
}

fn refusal(error: &OptionFileError) -> Refusal {
    let has = |wanted: &[Flaw]| {
        let mut problems = error.problems.iter();
        problems.any(|problem| wanted.contains(&problem.flaw))
    };
    // After one of these the servers are out of step with the lines.
    let out_of_step = has(&[Flaw::NulByte, Flaw::TooLong]);
    let told = [
        Flaw::ByteOrderMark,
        Flaw::OpenGroup,
        Flaw::NoGroup,
        Flaw::EmptyInclude,
    ];
    if has(&told) && !out_of_step {
        Refusal::Shared
    } else {
        Refusal::Ours
    }
}

fn write(path: &Path, text: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no other input; make torture asks for more files, a failure is repeated"
)]
fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap())
}

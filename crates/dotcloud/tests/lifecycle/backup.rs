//! Backups of a small service whose own program copies its file: where they are, what is refused, what
//! a restore leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::RUNTIME;
use crate::world::{BUILD_FILE, Printed, World, wait_for};

/// `backup` of the database in miniature.
const PROGRAM: &str = r#"#!/usr/bin/env python3
import hashlib, json, os, shutil, sys, time
home, verb, copy = os.environ["HOME"], sys.argv[1], sys.argv[-1]
history = home + "/data/history"
if os.path.exists(home + "/fail-" + verb):
    sys.exit("told to fail")
if verb == "release":
    print("miniature 1")
    sys.exit()
print("doing", verb, flush=True)
if os.path.exists(home + "/slow-" + verb):
    os.rename(home + "/slow-" + verb, home + "/slow")
    time.sleep(1)
if verb == "take":
    os.makedirs(copy + "/data")
    shutil.copy(history, copy + "/data/history")
    content = open(copy + "/data/history", "rb").read()
    entry = {"path": "data/history", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {"format": 1, "server": "miniature 1", "method": "cp", "files": [entry]}
    json.dump(manifest, open(copy + "/manifest.json", "w"))
elif verb == "check":
    rows = len(open(copy + "/data/history").readlines())
    json.dump({"server": "miniature 1", "rows": {"history": rows}}, open(copy + "/checked.json", "w"))
elif verb == "logs":
    # The lines that came since the copy before.
    os.makedirs(copy, exist_ok=True)
    first = 0
    if os.path.exists(copy + "/after.json"):
        first = json.load(open(copy + "/after.json"))["last"]
        os.remove(copy + "/after.json")
    lines = open(history).readlines()
    manifest = {"server": "miniature 1", "method": "logs", "last": len(lines), "files": []}
    if os.path.exists(home + "/problem"):
        manifest["problem"] = open(home + "/problem").read().strip()
    if lines[first:]:
        content = "".join(lines[first:])
        open(copy + "/lines", "w").write(content)
        digest = hashlib.sha256(content.encode()).hexdigest()
        manifest["files"] = [{"path": "lines", "bytes": len(content.encode()), "sha256": digest}]
    json.dump(manifest, open(copy + "/manifest.json", "w"))
elif verb == "plan":
    request = json.load(open(copy + "/request.json"))
    if request["until"] == "nonsense":
        sys.exit("no such moment")
    plan = {"copy": 0, "logs": list(range(len(request["logs"])))}
    json.dump(plan, open(copy + "/plan.json", "w"))
elif verb == "place":
    os.makedirs(home + "/data", exist_ok=True)
    shutil.move(copy + "/data/history", history)
    if "--until" in sys.argv:
        logs = sys.argv[sys.argv.index("--logs") + 1]
        with open(history, "a") as out:
            out.write("replayed until " + sys.argv[sys.argv.index("--until") + 1] + "\n")
            for name in sorted(os.listdir(logs)):
                out.write(open(logs + "/" + name + "/lines").read())
"#;

/// The application with that program, deployed.
pub(super) fn world() -> Option<World> {
    let world = World::new(RUNTIME)?;
    world.write("app/backup", PROGRAM);
    world.executable("app/backup");
    world.script(
        "app/builder",
        "cp \"$(dirname \"$0\")/server\" \"$(dirname \"$0\")/backup\" ~",
    );
    world.write("dotcloud.yml", &format!("{BUILD_FILE}  backup: ~/backup\n"));
    world.push(0);
    Some(world)
}

pub(super) fn backups(world: &World) -> PathBuf {
    world.home().join("backups/app")
}

fn count(world: &World) -> usize {
    fs::read_dir(backups(world).join("records"))
        .unwrap()
        .count()
}

/// The id in the last line of `backup`.
pub(super) fn made(world: &World, words: &[&str]) -> String {
    let said = world.dotcloud(words).with_status(0).stdout;
    let line = said
        .lines()
        .find(|line| line.contains("==> Backup "))
        .unwrap();
    line.split(' ').nth(2).unwrap().to_owned()
}

#[test]
fn backup_is_listed_verified_and_brought_back() {
    let Some(world) = world() else { return };
    let first = made(&world, &["backup"]);
    world.run("db.0", "echo later >> ~/data/history");
    let second = made(&world, &["backup", "db.0"]);
    assert_ne!(first, second);
    let listed = world.dotcloud(["backups"]).with_status(0).stdout;
    for word in [
        &*first,
        &*second,
        "db.0",
        "cp",
        "miniature 1",
        "never",
        "this machine",
    ] {
        assert!(listed.contains(word), "{word}: {listed}");
    }
    let said = world
        .dotcloud(["backup", "--verify", "latest"])
        .with_status(0);
    assert!(
        said.stdout
            .contains(&format!("Backup {second} is good: 1 tables with ")),
        "{said:?}"
    );
    assert!(!world.state("scratch").exists());
    let json = world.dotcloud(["backups", "--json"]).with_status(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["verified"], serde_json::Value::Null);
    assert_eq!(json[1]["verified"]["server"], "miniature 1");
    assert!(world.ask("db.0").contains("later"));
    restored(&world, &first);
}

/// What stands behind `before` in `line`, up to `after`.
fn between<'a>(line: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = line.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}

/// What is in the place of the data afterwards, and where that is.
fn restored(world: &World, first: &str) {
    let refused = world
        .dotcloud(["restore", "-o", "db.0", first])
        .with_status(1);
    assert!(
        refused.stdout.contains("nothing was restored"),
        "{refused:?}"
    );
    let restored = world
        .dotcloud(["restore", "-y", "db.0", first])
        .with_status(0);
    assert!(!world.ask("db.0").contains("later"));
    let line = restored
        .stderr
        .lines()
        .find(|line| line.contains("kept before"))
        .unwrap();
    let path = between(line, "is in ", ";");
    let kept = fs::read_to_string(Path::new(path).join("history")).unwrap();
    assert!(kept.contains("later"));
    assert!(
        line.ends_with(&format!("'rm -rf {path}' removes it")),
        "{line}"
    );
    // Of a push it is the data as ever.
    world.push(0);
    assert!(!world.ask("db.0").contains("later"));
    world.dotcloud(["destroy", "-y"]).with_status(0);
    assert_eq!(count(world), 2, "backups outlive their application");
}

#[test]
fn changes_are_copied_once_and_replayed_on_a_backup() {
    let Some(world) = world() else { return };
    let id = made(&world, &["backup"]);
    let ship = || world.dotcloud(["backup", "--ship"]).with_status(0).stdout;
    world.run("db.0", "echo first >> ~/data/history");
    assert!(ship().contains("==> Changes "));
    world.run("db.0", "echo second >> ~/data/history");
    ship();
    assert_eq!(ship(), "", "nothing was changed");
    let changes = fs::read_dir(backups(&world).join("changes")).unwrap();
    assert_eq!(changes.count(), 2);
    // They are no backups.
    assert_eq!(count(&world), 1);
    let words = ["restore", "-y", "db", &id, "--at", "nonsense"];
    let refused = world.dotcloud(words).with_status(1);
    assert!(refused.stderr.contains("no such moment"), "{refused:?}");
    assert!(
        refused
            .stdout
            .contains("its backup program could not find the changes of db.0"),
        "{refused:?}"
    );
    // What nobody has copied yet is copied first.
    world.run("db.0", "echo third >> ~/data/history");
    let words = [
        "restore",
        "-y",
        "db",
        "latest",
        "--at",
        "2100-01-01 00:00:00Z",
    ];
    let restored = world.dotcloud(words).with_status(0);
    let said = "db.0 serves what there was at 2100-01-01T00:00:00Z";
    assert!(restored.stdout.contains(said), "{restored:?}");
    let history = world.ask("db.0");
    let at = |what: &str| {
        history
            .find(what)
            .unwrap_or_else(|| panic!("{what}: {history}"))
    };
    let replayed = at("replayed until @4102444800.000000\n");
    assert!(replayed < at("first\n") && at("first\n") < at("second\n"));
    assert!(at("second\n") < at("third\n"));
    // What went wrong with changes that were copied all the same is an error.
    world.run("db.0", "echo 'there is a gap' > ~/problem");
    let failed = world.dotcloud(["backup", "--ship"]).with_status(1).stdout;
    let text = "dotcloud: error: there is a gap\n  next: make a backup ('dotcloud backup'), from which on \
                every change is there again\n";
    assert!(failed.ends_with(text), "{failed}");
}

#[test]
fn backup_of_a_service_without_one_has_exact_text() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let advice = "  next: add 'backup: ~/backup', or another program that takes and places copies \
                  (docs/platform.md), push again\n";
    for (words, text) in [
        (
            &["backup"][..],
            "the application 'app' has no service with a 'backup' in its dotcloud.yml",
        ),
        (
            &["backup", "db"],
            "db has no backups: no 'backup' in its dotcloud.yml",
        ),
    ] {
        let said = world.dotcloud(words).with_status(1).stdout;
        assert_eq!(said, format!("dotcloud: error: {text}\n{advice}"));
    }
    // Nobody is asked whether to restore what is not there.
    let later: &[&str] = &["restore", "db", "latest", "--at", "2036-01-01 00:00:00"];
    for words in [&["restore", "db", "latest"], later] {
        let said = world.dotcloud(words).with_status(1).stdout;
        let text = "dotcloud: error: there is no backup of db.0 yet\n  next: 'dotcloud backup' makes one\n";
        assert_eq!(said, text);
    }
    let said = world.dotcloud(["backups", "other"]).with_status(1).stdout;
    let text = "dotcloud: error: the application 'app' has no service 'other'\n";
    assert!(said.starts_with(text), "{said}");
}

#[test]
fn failing_program_leaves_no_backup_and_the_data_as_it_was() {
    let Some(world) = world() else { return };
    let id = made(&world, &["backup"]);
    let before = world.ask("db.0");
    for (verb, words) in [
        ("take", &["backup"][..]),
        ("check", &["backup", "--verify", &id]),
        ("place", &["restore", "-y", "db", &id]),
    ] {
        // The scratch container has what was built.
        if verb == "check" {
            world.write(
                "app/backup",
                &PROGRAM.replace("home + \"/fail-\" + verb", "\"/\""),
            );
            world.push(0);
        } else {
            world.run("db.0", &format!("touch ~/fail-{verb}"));
        }
        let said = world.dotcloud(words).with_status(1);
        assert!(
            said.stdout.contains("told to fail") || said.stderr.contains("told to fail"),
            "{said:?}"
        );
        assert_eq!(count(&world), 1, "{verb}");
        assert!(world.ask("db.0").starts_with(&before), "{verb}");
        if verb == "check" {
            world.write("app/backup", PROGRAM);
            world.push(0);
        }
    }
    assert_eq!(
        fs::read_dir(backups(&world).join("staging"))
            .unwrap()
            .count(),
        0
    );
    assert!(!world.state("scratch").exists());
    assert_eq!(
        fs::read_dir(backups(&world).join("replaced"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn backup_elsewhere_is_read_back_before_it_counts() {
    let Some(world) = world() else { return };
    let place = world.code("place");
    fs::create_dir(&place).unwrap();
    if let Some(user) = world.user() {
        std::os::unix::fs::chown(&place, Some(user), Some(user)).unwrap();
    }
    let good =
        "exec:case $BACKUP_ACTION in put) cat > place/$BACKUP ;; get) cat place/$BACKUP ;; esac";
    let id = made(&world, &["backup", "--to", good]);
    for (bad, text) in [
        (
            "exec:case $BACKUP_ACTION in put) cat > /dev/null ;; get) cat place/nothing ;; esac",
            "the command of --to could not give the copy back",
        ),
        ("exec:false", "the command of --to could not take the copy"),
        (
            "exec:case $BACKUP_ACTION in put) head -c 100 > place/$BACKUP ;; get) cat place/$BACKUP ;; esac",
            "cannot read the copy back",
        ),
    ] {
        let said = world
            .dotcloud(["backup", "--to", bad])
            .with_status(1)
            .stdout;
        assert!(
            said.starts_with(&format!("dotcloud: error: {text}\n")),
            "{said}"
        );
    }
    assert_eq!(count(&world), 1);
    world.run("db.0", "echo later >> ~/data/history");
    // A flipped byte.
    let mut archive = fs::read_dir(&place)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let archive = archive
        .find(|path| path.to_string_lossy().ends_with(&format!("-{id}.tar.zst")))
        .unwrap();
    let whole = fs::read(&archive).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&archive, flipped).unwrap();
    world.dotcloud(["restore", "-y", "db", &id]).with_status(1);
    assert!(world.ask("db.0").contains("later"));
    fs::write(&archive, whole).unwrap();
    world.dotcloud(["restore", "-y", "db", &id]).with_status(0);
    assert!(!world.ask("db.0").contains("later"));
}

#[test]
fn backup_to_a_restic_repository_of_the_users() {
    let Some(world) = world() else { return };
    let password = world.code("password");
    fs::write(&password, "it's \"$\\ &\n").unwrap();
    let repository = world.code("repository");
    let repository = format!("restic:{}", repository.display());
    let words = ["backup", "--to", &repository, "--password-file", "password"];
    let id = made(&world, &words);
    // What is there already is not sent again.
    made(&world, &words);
    let said = world
        .dotcloud(["restore", "-y", "db", "20200101-000000"])
        .with_status(1)
        .stdout;
    let text = "dotcloud: error: there is no backup '20200101-000000' of db.0\n  next: 'dotcloud backups' \
                tells which there are\n";
    assert_eq!(said, text);
    fs::write(world.code("wrong"), "wrong\n").unwrap();
    let words = ["backup", "--to", &repository, "--password-file", "wrong"];
    let said = world.dotcloud(words).with_status(1);
    assert!(said.stdout.contains("wrong password or no key found"));
    // Before anything is copied.
    assert!(!said.stderr.contains("Copying"), "{}", said.stderr);
    let words = [
        "backup",
        "--to",
        "restic:/proc/nowhere",
        "--password-file",
        "password",
    ];
    let said = world.dotcloud(words).with_status(1).stdout;
    assert!(
        said.starts_with("dotcloud: error: restic could not open the repository\n"),
        "{said}"
    );
    assert_eq!(count(&world), 2);
    world.run("db.0", "echo later >> ~/data/history");
    world.dotcloud(["restore", "-y", "db", &id]).with_status(0);
    assert!(!world.ask("db.0").contains("later"));
    world.dotcloud(["backup", "--verify", &id]).with_status(0);
    brought_to_another_machine(&world, &repository);
}

/// Which knows nothing but the repository.
fn brought_to_another_machine(world: &World, repository: &str) {
    let place = ["--from", repository, "--password-file", "password"];
    world.run("db.0", "echo mine >> ~/data/history");
    let words = ["backup", "--to", repository, "--password-file", "password"];
    let id = made(world, &words);
    world.dotcloud(["destroy", "-y"]).with_status(0);
    fs::remove_dir_all(backups(world)).unwrap();
    world
        .dotcloud(["create", "-y", "app", "--runtime", world.runtime()])
        .with_status(0);
    world.push(0);
    assert!(!world.ask("db.0").contains("mine"));
    let listed = world
        .dotcloud([&["backups"][..], &place].concat())
        .with_status(0);
    assert!(listed.stdout.contains(&id), "{listed:?}");
    let words = [&["restore", "-y", "db", "latest"][..], &place].concat();
    world.dotcloud(words).with_status(0);
    assert!(world.ask("db.0").contains("mine"));
    let said = world
        .dotcloud([&["backups", "-A", "other"][..], &place].concat())
        .with_status(1);
    let text = "there is no backup of the application 'other' in ";
    assert!(said.stdout.contains(text), "{said:?}");
}

/// Where nobody is systemd, and cron is a file.
const CRONTAB: &str = "#!/bin/sh
table=$(dirname \"$0\")/table
case $1 in
  -l) [ -e \"$table\" ] && cat \"$table\" || { echo \"no crontab for you\" >&2; exit 1; } ;;
  -) cat > \"$table\" ;;
esac
";

const TELL: &str = "#!/bin/sh
echo $BACKUP_APPLICATION $BACKUP_INSTANCE $BACKUP_KIND $BACKUP_STATE_BEFORE $BACKUP_STATE: \
$BACKUP_MESSAGE \"$1\" >> told
";

/// `dotcloud` where there is such a cron.
fn with_cron(world: &World, words: &[&str]) -> Printed {
    let bin = world.code("bin");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    Printed::of(&world.command(words).env("PATH", path).output().unwrap())
}

fn table(world: &World) -> String {
    fs::read_to_string(world.code("bin/table")).unwrap()
}

#[test]
fn schedule_is_a_line_of_a_crontab_and_its_run_makes_tries_and_tells() {
    if Path::new("/run/systemd/system").is_dir() {
        return;
    }
    let Some(world) = world() else { return };
    fs::create_dir(world.code("bin")).unwrap();
    for (name, script) in [("bin/crontab", CRONTAB), ("tell", TELL)] {
        fs::write(world.code(name), script).unwrap();
        world.executable(name);
    }
    fs::write(world.code("bin/table"), "# mine\n").unwrap();
    for name in ["bin", "bin/table", ""] {
        if let Some(user) = world.user() {
            std::os::unix::fs::chown(world.code(name), Some(user), Some(user)).unwrap();
        }
    }
    let every = [
        "backup",
        "--every",
        "day",
        "--keep",
        "7d",
        "--verify",
        "always",
        "--notify",
        "./tell 'x",
    ];
    let said = with_cron(&world, &every).with_status(0).stdout;
    let text = "==> Called at '17 3 * * *' by your crontab ('crontab -l'); 'dotcloud backup --never' undoes \
                it\n";
    assert_eq!(said, text);
    // Twice is once.
    with_cron(&world, &every).with_status(0);
    let left = left(&world);
    assert!(left["copies"]["overdue"].is_i64(), "{left}");
    let table_now = table(&world);
    let lines: Vec<&str> = table_now.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "# mine"), "{table_now}");
    runs(&world, lines[1].strip_prefix("17 3 * * * ").unwrap());
    missed(&world);
    unscheduled(&world);
}

/// As cron runs `command`.
fn runs(world: &World, command: &str) {
    assert!(command.starts_with("DOTCLOUD_HOME='"), "{command}");
    let run = |status: i32| {
        let mut cron = world.program("/bin/sh");
        cron.args(["-c", command]).current_dir("/");
        let done = cron.env_remove("DOTCLOUD_HOME").status().unwrap();
        assert_eq!(done.code(), Some(status), "{command}");
    };
    run(0);
    assert_eq!(count(world), 1);
    let json = with_cron(world, &["status", "--json"])
        .with_status(0)
        .stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["backup"]["state"], "good", "{json}");
    assert!(json[0]["backup"]["verified"].is_string(), "{json}");
    world.run("db.0", "touch ~/fail-take");
    run(1);
    run(1);
    let status = with_cron(world, &["status"]).with_status(0).stdout;
    assert!(status.contains("  THE LAST BACKUP FAILED "), "{status}");
    world.run("db.0", "rm ~/fail-take");
    run(0);
    let why = "its backup program could not make the copy of db.0";
    let told = fs::read_to_string(world.code("told")).unwrap();
    let all = format!("app db.0 copies good failed: {why} 'x\napp db.0 copies failed good: 'x\n");
    assert_eq!(told, all);
}

fn unscheduled(world: &World) {
    let never = || {
        with_cron(world, &["backup", "--never"])
            .with_status(0)
            .stdout
    };
    assert_eq!(
        never(),
        "==> Nothing is called any more; the backups stay\n"
    );
    assert_eq!(table(world), "# mine\n");
    assert_eq!(never(), "==> There was no schedule\n");
    let boot = with_cron(world, &["up", "--at-boot"]).with_status(0).stdout;
    assert!(
        boot.contains("'dotcloud up --no-at-boot' undoes it"),
        "{boot}"
    );
    assert!(
        table(world).contains("\n@reboot DOTCLOUD_HOME="),
        "{}",
        table(world)
    );
    with_cron(world, &["up", "--no-at-boot"]).with_status(0);
    assert_eq!(table(world), "# mine\n");
}

/// As if nobody had called for two days.
fn missed(world: &World) {
    let change = |name: &str, key: &str| {
        let path = backups(world).join(name);
        let text = fs::read(&path).unwrap();
        let mut value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let before = value[key].as_i64().unwrap();
        value[key] = (before - 2 * 86_400).into();
        fs::write(&path, value.to_string()).unwrap();
    };
    change("schedule.json", "since");
    change("db.0.notes", "good");
    for entry in fs::read_dir(backups(world).join("records")).unwrap() {
        let name = entry.unwrap().file_name();
        change(&format!("records/{}", name.to_str().unwrap()), "taken");
    }
    let status = with_cron(world, &["status"]).with_status(0).stdout;
    assert!(status.contains("  A BACKUP WAS MISSED: due "), "{status}");
    let json = with_cron(world, &["info", "db", "--json"])
        .with_status(0)
        .stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["instances"][0]["backup"]["state"], "missed", "{json}");
}

#[test]
fn schedule_where_nobody_calls_has_exact_text() {
    if Path::new("/run/systemd/system").is_dir() || Path::new("/usr/bin/crontab").exists() {
        return;
    }
    let Some(world) = world() else { return };
    let said = |words: &[&str]| world.dotcloud(words).with_status(1).stdout;
    let text = "dotcloud: error: there is neither a systemd that runs nor a crontab\n  next: install cron \
                ('apt-get install cron' as root), or have whatever you have for that call 'dotcloud up' \
                when the machine has started, and 'dotcloud backup' by the clock\n";
    assert_eq!(said(&["backup", "--every", "day"]), text);
    let text = "dotcloud: error: 'latest' is none of always, daily, weekly and monthly\n  next: with \
                --every, --verify says how often the newest backup is tried out\n";
    assert_eq!(
        said(&["backup", "--every", "day", "--verify", "latest"]),
        text
    );
    let text = "dotcloud: error: without --every, --verify tries a backup out, and takes neither --to nor \
                --keep\n  next: call it twice: once with each\n";
    assert_eq!(
        said(&["backup", "--verify", "latest", "--keep", "7d"]),
        text
    );
}

#[test]
fn rehearsal_tries_the_new_code_out_on_a_backup_and_leaves_nothing() {
    let Some(world) = world() else { return };
    // Without a backup one is made.
    let good = world.dotcloud(["push", "--rehearse"]).with_status(0);
    assert_eq!(count(&world), 1);
    let said = "db.0: miniature 1 has it, with 1 tables in order and 1 rows; for as long as 1 s it would \
                not be reached\n";
    assert!(good.stdout.contains(said), "{good:?}");
    world
        .dotcloud(["backup", "--verify", "latest"])
        .with_status(0);
    let serving = world.ask("db.0");
    let revisions = || world.dotcloud(["revisions"]).with_status(0).stdout;
    let before = revisions();
    let refused = |from: &str, to: &str, text: &str| {
        world.write("app/backup", &PROGRAM.replace(from, to));
        let failed = world.dotcloud(["push", "--rehearse"]).with_status(1);
        assert!(failed.stdout.contains(text), "{failed:?}");
        assert!(!world.home().join("apps/app-rehearsal").exists());
    };
    refused(
        "home + \"/fail-\" + verb",
        "\"/\"",
        "its backup program could not check the copy of db.0",
    );
    refused(
        "len(open(copy + \"/data/history\").readlines())",
        "7",
        "the table history of db.0 has 7 rows in the rehearsal, and 1 now\n  next: do not push it before \
         you know why",
    );
    world.write("app/builder", "#!/bin/sh\nexit 3\n");
    let failed = world.dotcloud(["push", "--rehearse"]).with_status(2);
    assert!(
        !world.home().join("apps/app-rehearsal").exists(),
        "{failed:?}"
    );
    assert_eq!(world.ask("db.0"), serving);
    assert_eq!(revisions(), before);
}

/// What the service finds of its backups.
fn left(world: &World) -> serde_json::Value {
    serde_json::from_str(&world.run("db.0", "cat ~/data/backups.json")).unwrap()
}

#[test]
fn info_tells_of_the_last_backup_and_of_a_failure() {
    let Some(world) = world() else { return };
    let info = || world.dotcloud(["info", "db"]).with_status(0).stdout;
    assert!(!info().contains("backups:"));
    made(&world, &["backup"]);
    let left = left(&world);
    assert!(left["copies"]["good"].is_i64() && left["copies"]["verified"].is_null());
    assert_eq!(left["copies"]["failed"], false, "{left}");
    assert!(left["copies"]["overdue"].is_null() && left["changes"].is_null());
    let told = info();
    assert!(told.contains("backups:\n  last backup "), "{told}");
    assert!(told.contains(" s ago, tried out never\n"), "{told}");
    world.run("db.0", "touch ~/fail-take");
    world.dotcloud(["backup"]).with_status(1);
    assert_eq!(self::left(&world)["copies"]["failed"], true);
    let told = info();
    assert!(told.contains("  THE LAST BACKUP FAILED "), "{told}");
    let json = world
        .dotcloud(["info", "db", "--json"])
        .with_status(0)
        .stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let failed = json["instances"][0]["backup"]["failed"]["error"]
        .as_str()
        .unwrap();
    assert_eq!(failed, "its backup program could not make the copy of db.0");
    world.run("db.0", "rm ~/fail-take");
    made(&world, &["backup"]);
    world
        .dotcloud(["backup", "--verify", "latest"])
        .with_status(0);
    let told = info();
    assert!(
        !told.contains("FAILED") && !told.contains("never"),
        "{told}"
    );
    let left = self::left(&world);
    assert!(left["copies"]["verified"].is_i64(), "{left}");
    assert_eq!(left["copies"]["failed"], false, "{left}");
    world
        .dotcloud(["restore", "-y", "db", "latest"])
        .with_status(0);
    assert_eq!(self::left(&world), left);
    // What the service makes of the file is its own affair.
    world.run(
        "db.0",
        "cd ~/data; rm backups.json; mkdir -p backups.json/x",
    );
    let said = world.dotcloud(["backup"]).with_status(0);
    let warning = "db.0 is not told how its backups are: cannot write ";
    let all = format!("{}{}", said.stdout, said.stderr);
    assert!(all.contains(warning), "{all}");
}

#[test]
fn backup_keeps_the_last_of_a_day_and_the_last_that_was_tried_out() {
    let Some(world) = world() else { return };
    let first = made(&world, &["backup"]);
    world
        .dotcloud(["backup", "--verify", &first])
        .with_status(0);
    made(&world, &["backup"]);
    let last = made(&world, &["backup", "--keep", "1d"]);
    let json = world.dotcloud(["backups", "--json"]).with_status(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let ids: Vec<&str> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [&first, &last]);
    for id in [&first, &last] {
        world.dotcloud(["backup", "--verify", id]).with_status(0);
    }
    let said = world
        .dotcloud(["backup", "--keep", "7y"])
        .with_status(1)
        .stderr;
    assert!(
        said.contains("says no numbers of days, weeks and months"),
        "{said}"
    );
}

#[test]
fn restore_into_another_application() {
    let Some(world) = world() else { return };
    world.run("db.0", "echo mine >> ~/data/history");
    made(&world, &["backup"]);
    world
        .dotcloud(["create", "-o", "other", "--runtime", world.runtime()])
        .with_status(0);
    world.dotcloud(["push", "-A", "other"]).with_status(0);
    world
        .dotcloud(["restore", "-y", "db", "latest", "--into", "other"])
        .with_status(0);
    let said = world
        .dotcloud(["run", "-A", "other", "db", "cat ~/data/history"])
        .with_status(0);
    assert!(said.stdout.contains("mine"), "{said:?}");
    world
        .dotcloud(["destroy", "-y", "-A", "other"])
        .with_status(0);
}

#[test]
fn restore_that_is_killed_goes_back_or_on() {
    let Some(world) = world() else { return };
    let id = made(&world, &["backup"]);
    world.run("db.0", "echo later >> ~/data/history");
    let mut whole = 0;
    for point in 0..10 {
        let mut child = world.command(["restore", "-y", "db", &id]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(400 + 300 * point));
        let _ = child.kill();
        let _ = child.wait();
        world.dotcloud(["restart", "db.0"]).with_status(0);
        let history = wait_for("the service", || {
            let text = world.ask("db.0");
            (!text.is_empty()).then_some(text)
        });
        if !history.contains("later") {
            whole += 1;
            let replaced = backups(&world).join("replaced");
            let newest = fs::read_dir(replaced)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .max();
            let kept = fs::read_to_string(newest.unwrap().join("history")).unwrap();
            assert!(kept.contains("started"), "{kept}");
            world.run("db.0", "echo later >> ~/data/history");
        }
    }
    println!("{whole} of 10 were complete");
    world.dotcloud(["restore", "-y", "db", &id]).with_status(0);
    assert!(!world.ask("db.0").contains("later"));
}

#[test]
fn backup_that_is_killed_is_not_listed() {
    let Some(world) = world() else { return };
    let id = made(&world, &["backup"]);
    for point in 0..10 {
        let mut child = world.command(["backup"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100 + 300 * point));
        let _ = child.kill();
        let _ = child.wait();
        assert!(world.ask("db.0").contains("started"));
    }
    let last = two_at_once(&world);
    assert_eq!(
        fs::read_dir(backups(&world).join("staging"))
            .unwrap()
            .count(),
        0
    );
    for id in [&id, &last] {
        world.dotcloud(["backup", "--verify", id]).with_status(0);
    }
    // Whatever is listed is whole.
    let json = world.dotcloud(["backups", "--json"]).with_status(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for record in json.as_array().unwrap() {
        let id = record["id"].as_str().unwrap();
        world.dotcloud(["restore", "-y", "db", id]).with_status(0);
    }
}

/// The second one says that it waits, and then makes its own: its id.
fn two_at_once(world: &World) -> String {
    let before = count(world);
    world.run("db.0", "touch ~/slow-take");
    let mut first = world.command(["backup"]).spawn().unwrap();
    wait_for("the first one's copy", || {
        let slow = world.dotcloud(["run", "db.0", "ls ~/slow"]);
        slow.stdout.contains("slow").then_some(())
    });
    let second = world.dotcloud(["backup"]).with_status(0);
    let said = "Another command works on the backups of \"app\": waiting until it is done";
    assert!(second.stderr.contains(said), "{second:?}");
    assert!(first.wait().unwrap().success());
    assert_eq!(count(world), before + 2);
    world.run("db.0", "rm ~/slow");
    between(&second.stdout, "==> Backup ", " of ").to_owned()
}

#[test]
fn backup_without_restic_has_exact_text() {
    let Some(world) = world() else { return };
    let empty = world.code("empty");
    fs::create_dir(&empty).unwrap();
    let mut command: Command = world.command(["backup"]);
    // What the platform itself needs, and no restic.
    for name in [
        "runc",
        "crun",
        "unshare",
        "setpriv",
        "systemd-run",
        "sh",
        "bash",
        "python3",
    ] {
        let found = ["/usr/bin", "/usr/sbin", "/bin"].map(|dir| Path::new(dir).join(name));
        if let Some(path) = found.iter().find(|path| path.exists()) {
            std::os::unix::fs::symlink(path, empty.join(name)).unwrap();
        }
    }
    let output = command.env("PATH", &empty).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let text = "dotcloud: error: restic is not installed\n  cause: no such file or directory (os error \
                2)\n  next: install it ('apt-get install restic' as root), call it again; --to \
                'exec:COMMAND' does without\n";
    assert_eq!(said, text);
    assert_eq!(count(&world), 0);
}

#[test]
fn push_of_another_release_copies_the_data_first() {
    let Some(world) = world() else { return };
    let copies = || {
        let found = fs::read_dir(backups(&world).join("before-upgrade"));
        found.map_or(0, Iterator::count)
    };
    world.push(0);
    assert_eq!(copies(), 0, "the same release");
    world.run("db.0", "echo mine >> ~/data/history");
    world.write("app/backup", &PROGRAM.replace("miniature 1", "miniature 2"));
    let said = world.push(0);
    assert_eq!(copies(), 1);
    said.position(
        "Copying ~/data before miniature 2 gets what is of miniature 1; --no-copy does without",
    );
    let line = said
        .stdout
        .lines()
        .find(|line| line.contains("The copy is "))
        .unwrap();
    let path = between(line, "The copy is ", ";");
    let kept = fs::read_to_string(Path::new(path).join("history")).unwrap();
    assert!(kept.contains("mine") && kept.contains("ended"), "{kept}");
    assert!(world.ask("db.0").starts_with(&kept));
    world.write("app/backup", PROGRAM);
    world.dotcloud(["push", "--no-copy"]).with_status(0);
    assert_eq!(copies(), 1);
    // Whoever says nothing is not asked again.
    world.write(
        "app/backup",
        &PROGRAM.replace("print(\"miniature 1\")", "sys.exit(\"what?\")"),
    );
    world.push(0);
    assert_eq!(copies(), 1);
}

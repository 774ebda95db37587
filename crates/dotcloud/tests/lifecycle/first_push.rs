//! What a first push does, and what every stage of it sees.

use std::os::unix::fs::MetadataExt;

use super::RUNTIME;
use crate::world::{BUILD_FILE, World, processes_below};

#[test]
fn first_push_serves_and_destroy_leaves_nothing() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let push = world.push(0);
    let order = [
        "--> Deployment of revision rsync-",
        "--> Build of db started",
        "[db] Running buildscript",
        "--> Build of db completed, image",
        "--> Build done",
        "[db.0] Initialized",
        "[db.0] Deploying revision rsync-",
        "[db.0] Launching",
        "[db.0] Waiting for the service to become responsive",
        "[db.0] Re-routing",
        "--> Deployment finished successfully",
        "==> Application is live at tcp://127.0.0.1:",
    ];
    let positions: Vec<usize> = order.iter().map(|text| push.position(text)).collect();
    assert!(positions.is_sorted(), "{}", push.stdout);
    assert!(world.ask("db.0").starts_with("started"));

    let status = world.dotcloud(["status", "db"]).with_status(0).stdout;
    assert!(status.starts_with("db.0:  up\n  db -> RUNNING"), "{status}");
    let url = world.dotcloud(["url"]).with_status(0).stdout;
    assert_eq!(url, format!("db:  tcp://{}\n", world.address("db.0")));
    assert_eq!(world.dotcloud(["list"]).stdout, "* app  live\n");
    assert_eq!(world.dotcloud(["app"]).stdout, "app\n");

    let address = world.address("db.0");
    assert!(!processes_below(&world.home()).is_empty());
    world.dotcloud(["destroy", "-y"]).with_status(0);
    assert_eq!(processes_below(&world.home()), Vec::new());
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(!world.state("").exists());
}

#[test]
fn every_stage_sees_what_the_contract_says() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let show = |stage: &str| {
        format!(
            "echo {stage} in $PWD; env | sort | sed 's/^/{stage}: /'; \
             echo {stage}: files $(ls ~/environment.json 2>/dev/null); umask"
        )
    };
    world.script("app/pre", &show("prebuild"));
    world.script(
        "app/builder",
        &format!("{}; cp app/server ~/server", show("buildscript")),
    );
    world.script(
        "app/postinstall",
        &format!(
            "{}; ls ~/code/app/postinstall ./postinstall",
            show("postinstall")
        ),
    );
    let keys = "  prebuild: ./pre\n  environment:\n    COLOUR: blue\n  size: 7\n";
    world.write("dotcloud.yml", &format!("{BUILD_FILE}{keys}"));
    let push = world.push(0);
    for stage in ["prebuild", "buildscript"] {
        for absent in ["PORT_DB", "DOTCLOUD_", "SECRET_OF_THE_HOST"] {
            let text = format!("{stage}: {absent}");
            assert!(!push.stdout.contains(&text), "{text}\n{}", push.stdout);
        }
        push.position(&format!("{stage}: SERVICE_SIZE=7"));
        push.position(&format!("{stage}: COLOUR=blue"));
        push.position(&format!("{stage}: USER=dotcloud"));
        push.position(&format!("{stage}: files\n"));
    }
    let code = world.inside("db.build/code");
    push.position(&format!("prebuild in {code}/app\n"));
    push.position(&format!("buildscript in {code}\n"));
    push.position("postinstall: PORT_DB=");
    push.position("postinstall: DOTCLOUD_DB_DB_URL=tcp://127.0.0.1:");
    push.position("postinstall: COLOUR=blue");
    push.position(&format!("{}/environment.json", world.inside("db.0/1/home")));
    assert!(!push.stdout.contains("postinstall: SECRET_OF_THE_HOST"));

    let environment = world.run("db.0", "env; cat ~/environment.json; cd ~/current; pwd -P");
    assert!(environment.contains("DOTCLOUD_SERVICE_NAME=db"));
    assert!(environment.contains("\"DOTCLOUD_SERVICE_ID\": \"0\""));
    assert!(environment.contains("HOSTNAME=app-default-db-0"));
    assert!(environment.trim_end().ends_with("/app"), "{environment}");
    let bound = environment
        .lines()
        .find_map(|line| line.strip_prefix("PORT_DB="))
        .unwrap();
    assert!(!world.address("db.0").ends_with(bound));
}

#[test]
fn two_instances_have_ports_and_suffixed_keys_of_their_own() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.write("dotcloud.yml", &format!("{BUILD_FILE}  instances: 2\n"));
    world.push(0);
    let (first, second) = (world.address("db.0"), world.address("db.1"));
    assert_ne!(first, second);
    assert_ne!(world.ask("db.0"), world.ask("db.1"));
    assert_ne!(
        world.run("db.0", "echo $PORT_DB"),
        world.run("db.1", "echo $PORT_DB")
    );
    let environment = world.run("db.1", "env");
    for line in [
        "DOTCLOUD_SERVICE_ID=1".to_owned(),
        format!("DOTCLOUD_DB_DB_URL=tcp://{first}"),
        format!("DOTCLOUD_DB_DB_URL_0=tcp://{first}"),
        format!("DOTCLOUD_DB_DB_URL_1=tcp://{second}"),
    ] {
        assert!(environment.lines().any(|found| found == line), "{line}");
    }
    let ambiguous = world.dotcloud(["run", "db", "true"]).with_status(1);
    assert!(
        ambiguous
            .stdout
            .contains("the service 'db' has 2 instances")
    );
    world.push(0);
    assert_eq!(
        (world.address("db.0"), world.address("db.1")),
        (first, second)
    );
    assert_eq!(world.ask("db.1").matches("started").count(), 2);
}

#[test]
fn services_of_root_run_as_a_uid_of_the_applications_own() {
    if !crate::world::is_root() {
        return;
    }
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let own = world.uid();
    assert!((60_600..61_100).contains(&own), "{own}");
    check_services(&world, own);
    // What was created before applications had their own keeps what its files have.
    world.dotcloud(["destroy", "-y"]).with_status(0);
    world
        .dotcloud(["create", "-y", "app", "--runtime", RUNTIME.name()])
        .with_status(0);
    world.set_uid(None);
    check_services(&world, 1000);
}

#[test]
fn applications_of_root_have_different_uids() {
    if !crate::world::is_root() {
        return;
    }
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.dotcloud(["create", "-o", "other"]).with_status(0);
    let other = std::fs::read_to_string(world.home().join("apps/other/state.json")).unwrap();
    let other: serde_json::Value = serde_json::from_str(&other).unwrap();
    assert_ne!(other["uid"], world.uid());
    assert!(other["uid"].is_u64(), "{other}");
    world
        .dotcloud(["destroy", "-y", "-A", "other"])
        .with_status(0);
}

/// A push whose services are to be `uid`, twice.
#[track_caller]
fn check_services(world: &World, uid: u32) {
    world.script("app/postinstall", "echo I am $(id -u):$(id -g) of $(id -G)");
    let push = world.push(0);
    push.position(&format!("I am {uid}:33 of 33"));
    world.push(0);
    assert_eq!(
        world
            .run("db.0", "id -un; id -u; id -g; id -G; umask")
            .lines()
            .skip(1)
            .collect::<Vec<_>>(),
        [&*uid.to_string(), "33", "33", "0022"]
    );
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
    let owner = |path: &std::path::Path| {
        let found = std::fs::metadata(path).unwrap();
        (found.uid(), found.gid())
    };
    let of_gateways = owner(&world.state("public/run"));
    for (pid, command) in processes_below(&world.home()) {
        let expected = if command.contains("/dotcloud shortcuts ") {
            // It changes the kernel's rules, and follows what only root writes.
            (0, 0)
        } else if command.contains("/public/") {
            of_gateways
        } else {
            (uid, 33)
        };
        let found = owner(std::path::Path::new(&format!("/proc/{pid}")));
        assert_eq!(found, expected, "{command}");
    }
    let home = world.state("db.0/2/home").metadata().unwrap();
    assert_eq!(
        (home.uid(), home.gid(), home.mode() & 0o777),
        (uid, 33, 0o700)
    );
}

#[test]
fn instances_count_until_the_first_deployment_that_works() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script("app/postinstall", "exit 1");
    world.push(2);
    world.script("app/postinstall", "true");
    world.write("dotcloud.yml", &format!("{BUILD_FILE}  instances: 2\n"));
    world.push(0);
    assert!(world.ask("db.1").starts_with("started"));
    world.write("dotcloud.yml", BUILD_FILE);
    let push = world.push(0);
    push.position("[db] warning: it keeps its 2 instance(s)");
    assert!(world.ask("db.1").starts_with("started"));
}

//! `~/data` over pushes: when it moves, what sees it, what must not be alive meanwhile.

use super::RUNTIME;
use crate::world::{BUILD_FILE, World, processes_below, wait_for};

#[test]
fn data_moves_after_the_old_one_ended_and_before_the_new_one_starts() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let push = world.push(0);
    let order = [
        "[db.0] Stopping the previous instance",
        "[db.0] Moving ~/data",
        "[db.0] Moved ~/data",
        "[db.0] Launching",
    ];
    let positions: Vec<usize> = order.iter().map(|text| push.position(text)).collect();
    assert!(positions.is_sorted(), "{}", push.stdout);

    let history = world.ask("db.0");
    let events: Vec<(&str, f64)> = history
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            (
                words.next().unwrap(),
                words.next().unwrap().parse().unwrap(),
            )
        })
        .collect();
    let names: Vec<&str> = events.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["started", "ended", "started"], "{history}");
    assert!(events.is_sorted_by(|a, b| a.1 <= b.1), "{history}");
    assert!(!push.stdout.contains("orphan"), "{}", push.stdout);
}

#[test]
fn postinstall_does_not_see_the_old_data_and_the_start_does() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script(
        "app/postinstall",
        "ls ~/data 2>/dev/null | sed 's/^/seen: /'\nmkdir -p ~/data\necho mine > ~/data/shadow",
    );
    world.push(0);
    // Of the first push it is the data.
    assert_eq!(world.run("db.0", "cat ~/data/shadow"), "mine\n");
    world.run("db.0", "echo theirs > ~/data/shadow; echo 1 > ~/data/row");
    let push = world.push(0);
    assert!(!push.stdout.contains("seen:"), "{}", push.stdout);
    push.position("put aside until");
    push.position("Removed the ~/data that had been put aside");
    assert_eq!(
        world.run("db.0", "cat ~/data/shadow ~/data/row"),
        "theirs\n1\n"
    );
    let log = world.dotcloud(["logs", "-N"]).with_status(0).stdout;
    assert!(
        log.contains("[db.0] data at start: history row shadow"),
        "{log}"
    );
    assert!(!world.state("db.0/2/data.shadowed").exists());
    assert!(!world.state("db.0/1").exists());
}

#[test]
fn what_is_outside_data_is_lost_and_the_build_home_stays() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script(
        "app/builder",
        "echo built >> ~/builds\nwc -l < ~/builds\ncp app/server ~/server\nln -f ~/server ~/hard",
    );
    world.push(0);
    world.run("db.0", "echo x > ~/mine");
    world.push(0);
    assert_eq!(
        world.run("db.0", "cat ~/builds; ls ~/mine 2>/dev/null || echo lost"),
        "built\nbuilt\nlost\n"
    );
    world.dotcloud(["push", "--clean"]).with_status(0);
    assert_eq!(world.run("db.0", "cat ~/builds"), "built\n");
    assert_eq!(world.ask("db.0").matches("started").count(), 3);
}

#[test]
fn only_home_leaves_the_build() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    // Beside it: in its code, and in a /tmp of its own where it has one.
    world.script(
        "app/builder",
        "cp app/server ~; touch ~/kept left-in-code app/left-in-approot\n\
         [ \"$HOME\" != /home/dotcloud ] || touch /tmp/left-in-tmp",
    );
    world.push(0);
    let left = "ls -d ~/kept; ls ~/code ~/current /tmp | grep ^left || echo no more";
    let home = world.run("db.0", "echo ~");
    assert_eq!(
        world.run("db.0", left),
        format!("{}/kept\nno more\n", home.trim_end())
    );
    // Nor do the next build and the code that was pushed have them.
    world.script("app/builder", "cp app/server ~; ls . app > ~/seen");
    world.push(0);
    let seen = world.run("db.0", "grep -c left ~/seen || true");
    assert_eq!(seen, "0\n");
}

#[test]
fn orphan_of_a_wrapper_that_does_not_exec_is_reported_and_ended_before_data_moves() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script("app/builder", "cp app/server app/wrapper ~");
    world.script("app/wrapper", "~/server &\nwait");
    world.write("dotcloud.yml", &BUILD_FILE.replace("~/server", "~/wrapper"));
    world.push(0);
    let push = world.push(0);
    let reported = push.position("is an orphan: it outlived what started it");
    assert!(reported < push.position("[db.0] Moving ~/data"));
    push.position("/server (does");
    let history = world.ask("db.0");
    let events: Vec<&str> = history
        .lines()
        .filter_map(|l| l.split(' ').next())
        .collect();
    assert_eq!(events, ["started", "ended", "started"], "{history}");
    let servers = processes_below(&world.home())
        .into_iter()
        .filter(|(_, command)| command.contains("python3") && command.trim().ends_with("/server"))
        .count();
    assert_eq!(servers, 1);
}

#[test]
fn slow_one_is_killed_after_ten_seconds() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script("app/builder", "cp app/server ~");
    let stubborn = crate::world::SERVER.replace("time.sleep(0.3)", "time.sleep(30)");
    world.write("app/server", &stubborn);
    world.push(0);
    let begin = std::time::Instant::now();
    world.push(0);
    let seconds = begin.elapsed().as_secs();
    assert!((10..30).contains(&seconds), "{seconds}");
    let history = world.ask("db.0");
    assert!(!history.contains("ended"), "{history}");
    assert_eq!(history.matches("started").count(), 2);
    // It would end only now.
    world.dotcloud(["destroy", "-y"]).with_status(0);
    wait_for("its end", || {
        processes_below(&world.home()).is_empty().then_some(())
    });
}

#[test]
fn service_without_data_overlaps_with_its_successor() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let plain = crate::world::SERVER
        .replace("/data/history", "/history")
        .replace("os.makedirs(home + \"/data\", exist_ok=True)\n", "");
    world.write("app/server", &plain);
    world.push(0);
    let push = world.push(0);
    assert!(!push.stdout.contains("Moving ~/data"), "{}", push.stdout);
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
    assert!(!world.state("db.0/1").exists());
    assert!(world.state("db.0/2").exists());
}

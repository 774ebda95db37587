//! `dotcloud push` killed at any moment of a re-push, a client writing all the while: the data is
//! somewhere whole, at most one server has it, and the next `dotcloud` goes on from there.

use std::process::Stdio;
use std::time::Instant;

use crate::points::Sweep;
use crate::world::{World, eventually, login};
use crate::writer::{Writer, make_table};

/// The servers that have the application's data open, in whatever container.
fn servers(world: &World) -> usize {
    let home = world.state();
    let has_data = |process: &std::fs::DirEntry| {
        let open = std::fs::read_dir(process.path().join("fd"));
        open.into_iter().flatten().flatten().any(|descriptor| {
            std::fs::read_link(descriptor.path())
                .is_ok_and(|path| path.starts_with(&home) && path.ends_with("mysqldb/ibdata1"))
        })
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter(has_data).count()
}

#[test]
fn pushes_killed_at_random_lose_no_acknowledged_row() {
    let world = World::new("mariadb");
    world.push(0);
    make_table(&mut world.connect(0));
    let (port, password) = (world.public_port(0), world.password(0));
    let connect = {
        let password = password.clone();
        move || login(port, "root", Some(&password)).ok()
    };
    let writer = Writer::start(connect);
    let whole = Instant::now();
    world.push(0);
    let whole = whole.elapsed();

    Sweep::new("dotcloud push killed", 2).in_turn(|point| {
        let mut push = world.command(["push"]);
        push.stdout(Stdio::null()).stderr(Stdio::null());
        let mut push = push.spawn().unwrap();
        let end = Instant::now() + whole.mul_f64(point.fraction);
        eventually("the moment to kill", || {
            let over = push.try_wait().unwrap().is_some();
            (over || Instant::now() >= end).then_some(())
        });
        push.kill().unwrap();
        push.wait().unwrap();
        assert!(servers(&world) <= 1, "{}", servers(&world));
        // Finishes what was begun, or goes back.
        world.dotcloud(["up", "-A", "app"]).with_status(0);
        let before = writer.acknowledged();
        eventually("the next row", || {
            (writer.acknowledged() > before).then_some(())
        });
        assert_eq!(servers(&world), 1);
        if point.index % 10 == 9 {
            world.push(0);
        }
    });
    world.push(0);
    let rows = writer.check(&mut world.connect(0));
    assert!(rows > 0);
    assert_eq!(world.password(0), password);
    let containers = std::fs::read_dir(world.state().join("apps/app/testbed.0")).unwrap();
    assert_eq!(containers.count(), 1);
}

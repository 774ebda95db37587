//! A client writes all the time while pushes replace the container: no row is lost that a server
//! acknowledged.

use crate::points::Sweep;
use crate::world::{World, login};
use crate::writer::{Writer, make_table};

fn pushed(fixture: &str) {
    let world = World::new(fixture);
    world.push(0);
    make_table(&mut world.connect(0));
    let (port, password) = (world.public_port(0), world.password(0));
    let writer = Writer::start(move || login(port, "root", Some(&password)).ok());
    Sweep::new(&format!("{fixture} pushed while it writes"), 10).in_turn(|_| {
        let before = writer.acknowledged();
        world.push(0);
        assert!(writer.acknowledged() > before, "it wrote meanwhile");
    });
    let rows = writer.check(&mut world.connect(0));
    println!("{fixture}: {rows} rows acknowledged, none lost");
}

#[test]
fn mariadb_pushed_while_it_writes_loses_no_acknowledged_row() {
    pushed("mariadb");
}

#[test]
fn mysql_5_6_pushed_while_it_writes_loses_no_acknowledged_row() {
    pushed("mysql-5.6");
}

#[test]
fn mysql_9_pushed_while_it_writes_loses_no_acknowledged_row() {
    pushed("mysql-9");
}

//! A client writes all the time while its server is killed and started again: no row is lost that the
//! server acknowledged.

use std::time::{Duration, Instant};

use mysql::OptsBuilder;

use crate::check::{PASSWORD, start};
use crate::points::Sweep;
use crate::real::{Instance, Server};
use crate::sandbox::wait_for;
use crate::writer::{Writer, make_table};

/// The longest a server may write before it is killed.
const LIFE: Duration = Duration::from_millis(600);

fn committed(server: Server) {
    let instance = Instance::new(server);
    let (mut running, mut root) = start(&instance);
    make_table(&mut root);
    let options = OptsBuilder::new()
        .ip_or_hostname(Some("127.0.0.1"))
        .tcp_port(instance.port)
        .prefer_socket(false)
        .user(Some("root"))
        .pass(Some(PASSWORD));
    let writer = Writer::start(move || mysql::Conn::new(options.clone()).ok());
    let kills = Sweep::new(&format!("{server:?} killed while it writes"), 4);
    kills.in_turn(|point| {
        let before = writer.acknowledged();
        wait_for("a row", || (writer.acknowledged() > before).then_some(()));
        let moment = Instant::now() + LIFE.mul_f64(point.fraction);
        wait_for("that moment", || (Instant::now() >= moment).then_some(()));
        running.signal("KILL");
        (running, root) = start(&instance);
    });
    let rows = writer.check(&mut root);
    println!("{server:?}: {rows} rows acknowledged, none lost");
}

#[test]
fn e3_killed_while_it_writes_loses_no_acknowledged_row_mariadb() {
    committed(Server::MariaDb);
}

#[test]
fn e3_killed_while_it_writes_loses_no_acknowledged_row_mysql_5_6() {
    committed(Server::MySql56);
}

#[test]
fn e3_killed_while_it_writes_loses_no_acknowledged_row_mysql_9() {
    committed(Server::MySql9);
}

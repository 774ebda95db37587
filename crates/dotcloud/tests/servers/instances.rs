//! Two instances are two databases: nothing that must be unique is shared.

use std::fs;

use crate::world::{World, column};

#[test]
fn two_instances_differ_in_port_uuid_and_password() {
    let world = World::new("mysql-9");
    let path = world.code("dotcloud.yml");
    let yml = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{yml}  instances: 2\n")).unwrap();
    world.push(0);

    let of = |instance: u32| {
        let mut conn = world.connect(instance);
        let uuid = column(&mut conn, "SELECT @@server_uuid").remove(0);
        (world.public_port(instance), uuid, world.password(instance))
    };
    let ((port0, uuid0, password0), (port1, uuid1, password1)) = (of(0), of(1));
    assert_ne!(port0, port1);
    assert_ne!(uuid0, uuid1);
    assert_ne!(password0, password1);
    let bound = |instance| world.run(instance, "echo $PORT_TESTBEDDB");
    assert_ne!(bound("testbed.0"), bound("testbed.1"));

    let text = world.run("testbed.1", "cat ~/environment.json");
    let environment: serde_json::Value = serde_json::from_str(&text).unwrap();
    let value = |key: &str| environment[key].as_str().unwrap().to_owned();
    assert_eq!(value("DOTCLOUD_SERVICE_ID"), "1");
    assert_eq!(value("DOTCLOUD_TESTBED_TESTBEDDB_PORT"), port0.to_string());
    assert_eq!(
        value("DOTCLOUD_TESTBED_TESTBEDDB_PORT_0"),
        port0.to_string()
    );
    assert_eq!(
        value("DOTCLOUD_TESTBED_TESTBEDDB_PORT_1"),
        port1.to_string()
    );
    for suffix in ["HOST_0", "HOST_1", "URL_0", "URL_1"] {
        value(&format!("DOTCLOUD_TESTBED_TESTBEDDB_{suffix}"));
    }
}

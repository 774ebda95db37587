//! What is refused before anything is written, as its reader sees it.

use hook::CommandError;

use super::tests::{assert_rendered, source};
use super::*;
use crate::address::AddressError;
use crate::places::PlacesError;
use crate::time_zone::{Absent, TimeZoneError};

#[test]
fn errors_of_what_my_cnf_names_have_exact_texts() {
    assert_rendered(
        PrepareError::Address(AddressError {
            address: "eth0".to_owned(),
            origin: "from my.cnf line 2".to_owned(),
            source: source(),
        }),
        "bind-address is eth0, from my.cnf line 2, and nothing can listen there\n  cause: permission \
         denied\n  next: set it to an address of this machine, such as 127.0.0.1, or to 0.0.0.0 for \
         all of them, push again",
    );
    assert_rendered(
        PrepareError::TimeZone(TimeZoneError {
            zone: "Europe/Berlin".to_owned(),
            line: "my.cnf line 2".to_owned(),
            reason: Absent::Skipped,
        }),
        "my.cnf line 2: default-time-zone is Europe/Berlin, and MYSQL_INITDB_SKIP_TZINFO leaves out the \
         tables that have it\n  next: set an offset such as '+01:00', or a zone that is in \
         /usr/share/zoneinfo, without MYSQL_INITDB_SKIP_TZINFO, push again",
    );
    assert_rendered(
        PrepareError::ReadTimeZones {
            source: CommandError::Start {
                program: "/r/tz".into(),
                source: source(),
            },
        },
        "cannot read the system's time zones\n  cause: cannot run /r/tz\n  cause: permission \
         denied\n  next: set MYSQL_INITDB_SKIP_TZINFO=1 to do without, push again",
    );
    let places = PlacesError::of("my.cnf line 2", "tmpdir", "/nowhere");
    assert_rendered(
        PrepareError::Places(places),
        "my.cnf line 2: tmpdir is /nowhere, which is not there\n  next: correct it in my.cnf, or take \
         the option out: what is to last and does not come with the push belongs below ~/data, by its \
         full path, push again",
    );
}

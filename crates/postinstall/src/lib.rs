//! postinstall: prepares a new container. Run by the dotCloud Deployer once the snapshot is
//! unpacked and `PORT_*` is known (platform-contract.md §7). On a re-push the previous `~/data` is not
//! there yet, and what this makes of it is replaced by the real one.

use hook::{Environment, Report};
use preparation::{Error, Purpose, Settings, prepare};

/// The text of `--help`.
pub const ABOUT: &str = "\
Prepares the new container: writes the port into ~/.my.cnf, makes ~/data, chooses
root's password and initialises the database if there is none. Run twice, it does
the work once.

Reads:
  HOME                 the home directory that builder built
  PORT_<NAME>          the port to bind; of several, PORT_MYSQL or the one that
                       MYSQL_PORT_NAME names
  MYSQL_ROOT_PASSWORD  root's password [default: random, kept]
  MYSQL_ROOT_HOST      where root may come from besides the host itself
  MYSQL_DATABASE       a database, made if it is missing
  MYSQL_USER, MYSQL_PASSWORD
                       an account for that database, made if it is missing
  MYSQL_BIND_ADDRESS   the address to bind [default: as my.cnf says, else all]
  MYSQL_MEMORY         the memory to plan for, such as 512M [default: the cgroup's
                       limit; without one half of the machine's, at most 1G]
  MYSQL_SLOW_LOG       from which time on a statement goes to ~/data/logs/slow.log, such
                       as 1s or 250ms [default: as my.cnf says]
  MYSQL_PITR           1: keep every change in ~/data/binlogs, for a restore to a point in
                       time [default: 0]
  MYSQL_REQUIRE_DATA   1: never make a fresh database [default: 0]
  MYSQL_UPGRADE_ANYWAY 1: upgrade a MySQL although accounts are locked out by that, or
                       although it was killed [default: 0]
  HOOK_LOG=debug       more detail
Each MYSQL_* may also come from config: in dotcloud.yml. Of those that say who may
log in, MARIADB_* means the same, and *_FILE names a file with the value; MARIADB_MEMORY
means the same as MYSQL_MEMORY.

Writes: ~/.my.cnf, ~/data/mysql-credentials.cnf (both mode 0600), ~/data/mysqldb

Example (the platform does this):
  HOME=/home/dotcloud PORT_TESTBEDDB=42800 ~/postinstall

Exit status: 0 prepared; 1 failed, and no data was touched; 2 called with
arguments; 70 a defect of postinstall.
";

/// Prepares the container.
pub fn run(environment: &Environment, report: &mut Report) -> Result<(), Error> {
    let settings = Settings::from_environment(environment)?;
    prepare(&settings, Purpose::Later, report)?;
    Ok(())
}

//! Everything that knows MySQL.

mod accepted;
mod accounts;
mod alter_user;
mod big_endian;
mod command;
mod credentials;
mod data_dir;
mod first_run;
mod initialise;
mod layout;
mod libraries;
mod lineage;
mod lock;
mod lost_plugins;
mod memory;
mod obstacles;
mod opening;
mod option_file;
mod persisted;
mod place;
mod plain;
mod rendering;
mod seed;
mod server;
mod service_accounts;
mod size;
mod temporary_server;
mod time_zones;
mod transition;
mod upgrade;
mod write;

pub use accepted::Accepted;
pub use accounts::Accounts;
pub use command::{bare_command, lend_libraries, with_path};
pub use credentials::{Credentials, CredentialsError, Password, PasswordError, sql_literal};
pub use data_dir::{
    AccountPlugin, DataDirState, Database, HALF_UPGRADED, InspectError, Shutdown, account_plugins,
    inspect, last_mysql_shutdown, last_shutdown,
};
pub use first_run::{
    FirstRun, FirstRunError, FirstRunFile, FirstRunFileError, client_errors, log_evidence,
};
pub use initialise::{Initialisation, InitialiseError, RoomError, is_scarce, remove_unfinished};
pub use layout::Layout;
pub use libraries::{
    LIBRARY_DIRECTORIES, LINKED_LIBRARIES, RENAMED_LIBRARIES, is_system_library, package_of,
};
pub use lineage::{LINEAGE, Lineage, LineageError};
pub use lock::{DataLock, LockError};
pub use lost_plugins::{NATIVE_PASSWORD, has_native_switch, is_lost};
pub use memory::{Memory, MemoryError, MemoryPlan};
pub use obstacles::{Obstacle, ObstacleKind, obstacles};
pub use opening::Opening;
pub use option_file::{
    COMMAND_LINE, CommandLine, CommandLineError, Flaw, Include, IncludeError, IncludeKind,
    OptionFile, OptionFileError, Place, Problem, Resolved, SkipReason, Skipped, Value,
};
pub use persisted::{Persisted, PersistedError};
pub use place::{all_unfinished, finish_move};
pub use plain::first_unusual;
pub use rendering::{
    BINARY_LOG, Choice, Origin, Rendered, Settings, is_binary_log_index, render_my_cnf,
    server_groups,
};
pub use seed::{Seed, pack};
pub use server::{Family, Flavour, ProbeError, SERVER_EXECUTABLES, Series, Server, Version};
pub use service_accounts::{AGENT, Secret, ServiceAccounts};
pub use size::{parse_size, shown_size};
pub use temporary_server::{PrivateServer, TemporaryServerError};
pub use time_zones::{NoTimeZones, TimeZones};
pub use transition::{Transition, TransitionError, transition};
pub use upgrade::{Journal, JournalError, Upgrade, UpgradeError, check_tools};
pub use write::{WriteError, discard_unfinished, is_private_copy, write_private};

//! What prepares a server, before its first start and at each start: the inputs, the option file, the
//! credentials, the data directory. `postinstall`, `starttest`, `backup` and `agent` use it.

mod accounts;
mod address;
mod cloned;
mod error;
mod fresh;
mod judgement;
mod locked_out;
mod logs;
mod memory;
mod opening;
mod places;
mod port;
mod prepare;
mod rendering;
mod server_keys;
mod settings;
mod stale;
mod take_over;
mod time_zone;
mod upgrade_check;
mod variables;
mod volumes;

pub use accounts::{AccountInputs, AccountsError, UserInput};
pub use address::AddressError;
pub use error::Error;
pub use memory::{MemoryInput, MemoryOrigin};
pub use places::{PlacesError, Unusable};
pub use prepare::{PrepareError, Prepared, Purpose, prepare};
pub use rendering::{RenderError, server_command};
pub use server_keys::ServerKeysError;
pub use settings::{Port, Settings, SettingsError};
pub use stale::StaleError;
pub use take_over::TakeOverError;
pub use time_zone::TimeZoneError;
pub use variables::{UnreadVariables, VariableError};
pub use volumes::{VolumeError, layout};

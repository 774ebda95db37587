//! What the inputs and my.cnf ask for, judged before anything is written: refused where a database that
//! is to be made could not have it, told where an existing one goes on without.

use std::path::Path;

use hook::Report;
use mycnf::{FirstRunFile, FirstRunFileError, Layout, Rendered, Server, Value, server_groups};

use crate::accounts::AccountInputs;
use crate::address::{self, AddressError};
use crate::places::Places;
use crate::prepare::{PrepareError, Purpose};
use crate::rendering::line;
use crate::settings::Settings;
use crate::time_zone::{ZoneTables, is_named};

/// What is judged, and in which circumstances.
pub(crate) struct Case<'a> {
    pub settings: &'a Settings,
    pub server: &'a Server,
    pub layout: &'a Layout,
    pub data_dir: &'a Path,
    pub rendered: &'a Rendered,
    pub purpose: Purpose,
    /// There is no database yet.
    pub fresh: bool,
}

/// What is to be done.
pub(crate) struct Judgement {
    pub accounts: AccountInputs,
    pub places: Places,
    pub zone_tables: ZoneTables,
}

impl Case<'_> {
    pub(crate) fn judge(&self, report: &mut Report) -> Result<Judgement, PrepareError> {
        let judgement = Judgement {
            accounts: self.accounts(report)?,
            places: Places::judge(self)?,
            zone_tables: self.zone_tables(),
        };
        self.check_address()?;
        for warning in &judgement.places.warnings {
            report.warning(warning);
        }
        self.warn_of_no_accounts(report);
        self.check_first_run_files(report)?;
        Ok(judgement)
    }

    /// The server obeys, and nobody would be told otherwise.
    fn warn_of_no_accounts(&self, report: &mut Report) {
        let Some(found) = self.user_set("skip-grant-tables") else {
            return;
        };
        if is_on(&found) {
            report.warning(format!(
                "{} sets skip-grant-tables: whoever reaches the server is root, whatever password \
                 they give; remove it, push again",
                line(&found.place, self.layout)
            ));
        }
    }

    fn accounts(&self, report: &mut Report) -> Result<AccountInputs, PrepareError> {
        let accounts = self.settings.accounts.for_server(self.server);
        let unread = &self.settings.unread;
        if self.fresh {
            accounts.check()?;
            let lower_case = self.user_set("lower-case-table-names");
            let lower_case = lower_case.and_then(|found| found.value);
            unread.check(lower_case.as_deref())?;
        } else {
            accounts.warnings().for_each(|text| report.warning(text));
        }
        for warning in unread.warnings(self.fresh) {
            report.warning(warning);
        }
        Ok(accounts)
    }

    fn check_address(&self) -> Result<(), AddressError> {
        if let Some(address) = &self.settings.bind_address {
            return address::check(address, "from MYSQL_BIND_ADDRESS");
        }
        let Some(found) = self.user_set("bind-address") else {
            return Ok(());
        };
        let value = String::from_utf8_lossy(&found.value.unwrap_or_default()).into_owned();
        let origin = format!("from {}", line(&found.place, self.layout));
        address::check(&value, &origin)
    }

    /// What my.cnf sets `option` to for the server.
    pub(crate) fn user_set(&self, option: &str) -> Option<Value> {
        let groups = server_groups(self.server.flavour, self.server.version);
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        self.rendered.user.get(&groups, option)
    }

    /// The zone tables of a database that is to be made.
    fn zone_tables(&self) -> ZoneTables {
        let found = self.user_set("default-time-zone");
        let named = found.and_then(|found| {
            let zone = String::from_utf8_lossy(&found.value?).into_owned();
            is_named(&zone).then(|| (zone, line(&found.place, self.layout)))
        });
        ZoneTables {
            skip: self.settings.skip_time_zones,
            named,
        }
    }

    /// Those of a push while the old instance still serves; at the start it would be too late. Those that
    /// are mounted wherever they are to be run.
    fn check_first_run_files(&self, report: &mut Report) -> Result<(), FirstRunFileError> {
        if self.fresh {
            let mounted = self.layout.mounted_first_run_files();
            for name in FirstRunFile::mounted(mounted)?.1 {
                let path = mounted.join(name);
                report.warning(format!("{} is no SQL: left out", path.display()));
            }
        }
        if self.purpose == Purpose::Serve {
            return Ok(());
        }
        first_run_files(self.layout)?
            .iter()
            .try_for_each(FirstRunFile::check)
    }
}

/// Whether `found`, a switch, is on: also without a value.
pub(crate) fn is_on(found: &Value) -> bool {
    let value = found.value.as_deref().unwrap_or_default();
    !["0", "OFF", "FALSE"]
        .iter()
        .any(|off| value.eq_ignore_ascii_case(off.as_bytes()))
}

/// What a fresh database begins with: what was pushed, then what is mounted.
pub(crate) fn first_run_files(layout: &Layout) -> Result<Vec<FirstRunFile>, FirstRunFileError> {
    let mut files = FirstRunFile::all(&layout.first_run_files())?;
    files.extend(FirstRunFile::mounted(layout.mounted_first_run_files())?.0);
    Ok(files)
}

//! Accounts of an existing MySQL that let in nobody, because the release that was pushed has not their
//! plugin any more, or everybody, because root has no password: named at every start. An upgrade that locks
//! somebody out is refused.

use hook::Report;
use mycnf::{
    AccountPlugin, Family, NATIVE_PASSWORD, Shutdown, account_plugins, has_native_switch, is_lost,
    last_mysql_shutdown,
};

use crate::accounts::AccountInputs;
use crate::judgement::{Case, is_on};
use crate::prepare::Purpose;
use crate::take_over::{TakeOver, TakeOverError};

/// How many are worth naming.
const NAMED: usize = 10;

/// Plugins that let everybody in where they have nothing to compare with.
const WITH_PASSWORD: [&str; 3] = [
    "caching_sha2_password",
    "sha256_password",
    "mysql_native_password",
];

/// What the servers keep for themselves, locked anyway.
const OF_SERVERS: &str = "mysql.";

/// Refuses an upgrade that would lock somebody out, unless it is wanted anyway. `root_known` says that
/// there is a password for root. Changes nothing, and says nothing of what is not the real data yet.
pub(crate) fn check(
    place: &Case<'_>,
    take_over: &TakeOver,
    inputs: &AccountInputs,
    root_known: bool,
    report: &mut Report,
) -> Result<(), TakeOverError> {
    let server = place.server;
    let is_mysql = server.flavour.family() == Family::MySql;
    if place.purpose == Purpose::Later || !is_mysql || !is_clean(place) {
        return Ok(());
    }
    let upgrade_from = match take_over {
        TakeOver::UpgradeAtStart(found) => Some(*found),
        TakeOver::AsItIs | TakeOver::Upgrade { .. } | TakeOver::Finish { .. } => None,
    };
    let native = native_is_on(place);
    let lost = |plugin: &str| is_lost(plugin, server, native);
    let Some(accounts) = account_plugins(place.data_dir) else {
        if upgrade_from.is_some() && lost(NATIVE_PASSWORD) {
            report.warning(format!(
                "cannot read the accounts of {}: any with {NATIVE_PASSWORD} will be locked out, \
                 which {server} has not any more",
                place.data_dir.display()
            ));
        }
        return Ok(());
    };
    if inputs.root_password.is_none() {
        tell_open_roots(&accounts, report);
    }
    let accounts: Vec<AccountPlugin> = accounts
        .into_iter()
        .filter(|account| lost(&account.plugin) && !is_brought_over(account, inputs, root_known))
        .collect();
    match upgrade_from {
        _ if accounts.is_empty() => Ok(()),
        Some(found) if !place.settings.upgrade_anyway => Err(TakeOverError::LockedOut {
            path: place.data_dir.to_owned(),
            found,
            server: server.to_string(),
            accounts,
            option: has_native_switch(server).then_some(NATIVE_PASSWORD),
        }),
        Some(_) | None => {
            report.warning(format!(
                "nobody can log in as {}: {server} has no such plugin; root can give them another \
                 (ALTER USER … IDENTIFIED WITH caching_sha2_password BY …)",
                named(&accounts)
            ));
            Ok(())
        }
    }
}

/// Each root that would be given a password if there was one for all.
fn tell_open_roots(accounts: &[AccountPlugin], report: &mut Report) {
    let open = accounts.iter().filter(|account| {
        let is_open = !account.has_secret && !account.is_locked;
        account.user == "root" && is_open && WITH_PASSWORD.contains(&&*account.plugin)
    });
    for AccountPlugin { user, host, .. } in open {
        report.warning(format!(
            "'{user}'@'{}' needs no password: whoever reaches the port is root, until you set \
             MYSQL_ROOT_PASSWORD or drop it",
            host.escape_debug()
        ));
    }
}

/// Whose password we have is given the usual plugin as the server starts.
fn is_brought_over(account: &AccountPlugin, inputs: &AccountInputs, root_known: bool) -> bool {
    let is_root = account.user == "root" && (root_known || inputs.root_password.is_some());
    let ours = inputs.user.as_ref();
    let is_ours = ours.is_some_and(|user| user.name == account.user) && account.host == "%";
    account.user.starts_with(OF_SERVERS) || is_ours || is_root
}

/// What a kill left may be half-written.
fn is_clean(place: &Case<'_>) -> bool {
    let shutdown = last_mysql_shutdown(place.data_dir);
    shutdown.is_ok_and(|(shutdown, _)| shutdown == Shutdown::Clean)
}

fn native_is_on(place: &Case<'_>) -> bool {
    let option = NATIVE_PASSWORD.replace('_', "-");
    place.user_set(&option).is_some_and(|found| is_on(&found))
}

/// `'app'@'%' (mysql_native_password), …`
pub(crate) fn named(accounts: &[AccountPlugin]) -> String {
    let names: Vec<String> = accounts
        .iter()
        .take(NAMED)
        .map(|account| {
            let AccountPlugin {
                user, host, plugin, ..
            } = account;
            let [user, host, plugin] = [user, host, plugin].map(|text| text.escape_debug());
            format!("'{user}'@'{host}' ({plugin})")
        })
        .collect();
    let more = match accounts.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.join(", ") + &more
}

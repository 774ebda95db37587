//! What MySQL 8.0 would refuse of the data of 5.7 as it starts: told before, with the data as it was and 5.7 able
//! to go on.

use hook::Report;
use mycnf::{Obstacle, Series, Shutdown, last_mysql_shutdown, obstacles};

use crate::judgement::{Case, is_on};
use crate::prepare::Purpose;
use crate::take_over::{TakeOver, TakeOverError};

/// How many are worth naming.
const NAMED: usize = 10;

/// The first with a dictionary, which it makes of the files of the one before.
const DICTIONARY: Series = Series(8, 0);

/// Refuses such an upgrade, unless it is wanted anyway. Changes nothing.
pub(crate) fn check(
    place: &Case<'_>,
    take_over: &TakeOver,
    report: &mut Report,
) -> Result<(), TakeOverError> {
    let found = match take_over {
        TakeOver::UpgradeAtStart(found) if found.version.series() < DICTIONARY => *found,
        _ => return Ok(()),
    };
    if place.purpose == Purpose::Later || !is_as_the_old_one_left_it(place) {
        return Ok(());
    }
    let mut obstacles = obstacles(place.data_dir, place.server.version);
    obstacles.retain(|obstacle| {
        let option = obstacle.kind.option();
        let is_set = option.and_then(|option| place.user_set(&option));
        !is_set.is_some_and(|value| is_on(&value))
    });
    if obstacles.is_empty() {
        return Ok(());
    }
    let refused = TakeOverError::Obstacles {
        path: place.data_dir.to_owned(),
        found,
        server: place.server.to_string(),
        obstacles,
    };
    if place.settings.upgrade_anyway {
        report.warning(refused.to_string());
        return Ok(());
    }
    Err(refused)
}

/// What a kill left may be half-written, and a server of the newer release may have begun.
fn is_as_the_old_one_left_it(place: &Case<'_>) -> bool {
    let Ok((shutdown, writer)) = last_mysql_shutdown(place.data_dir) else {
        return false;
    };
    let begun = writer.is_some_and(|writer| writer.series() == place.server.version.series());
    shutdown == Shutdown::Clean && !begun
}

/// `shop.t has …; shop.u has …`
pub(crate) fn listed(obstacles: &[Obstacle]) -> String {
    let shown: Vec<String> = obstacles
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    let more = match obstacles.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    shown.join("; ") + &more
}

//! What is said of the server: whether it lives, whether it serves, and why. Pure.

use std::time::Duration;

use crate::place::Phase;

/// A server that should answer and does not is given up after this time.
pub(crate) const HUNG: Duration = Duration::from_secs(30);

/// And gets no new connections after this one.
pub(crate) const LATE: Duration = Duration::from_secs(5);

/// The server's number for "Too many connections".
pub(crate) const CROWDED: u16 = 1040;

/// How the last look at the server ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nobody looked yet.
    Nothing,
    /// Nobody listens on the socket; what the files tell.
    Closed(Phase),
    /// Somebody listens and said nothing; what the files tell.
    Silent(Phase),
    /// It let us in, and serves the port, or the socket alone.
    Serves(Option<u16>),
    /// It let us in, and nobody listens on its port.
    NoPort(u16),
    /// It answers, and has no connection left for us.
    Crowded,
    /// It answers, and does not let us in.
    Refuses(String),
}

/// An answer for a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) good: bool,
    pub(crate) why: String,
}

impl Seen {
    /// Whether the server is beyond reproach at this moment: what counts as an answer.
    pub(crate) fn is_alive(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Closed(phase) => *phase != Phase::Absent,
            Self::Silent(phase) => !matches!(phase, Phase::Absent | Phase::Open),
            Self::Serves(_) | Self::NoPort(_) | Self::Crowded | Self::Refuses(_) => true,
        }
    }

    /// One word for it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "unknown",
            Self::Silent(Phase::Open) => "silent",
            Self::Closed(phase) | Self::Silent(phase) => match phase {
                Phase::Absent => "absent",
                Phase::Initialising => "initialising",
                Phase::FirstRun => "first-run",
                Phase::Upgrading => "upgrading",
                Phase::Busy => "starting",
                Phase::Open => "closed",
            },
            Self::Serves(_) | Self::Crowded => "serving",
            Self::NoPort(_) | Self::Refuses(_) => "answering",
        }
    }

    /// `quiet` is for how long nothing of it was beyond reproach.
    fn why(&self, quiet: Duration) -> String {
        let seconds = quiet.as_secs();
        match self {
            Self::Nothing => "the agent has not looked at the server yet".to_owned(),
            Self::Silent(Phase::Open) => format!("the server has not answered for {seconds} s"),
            Self::Closed(phase) | Self::Silent(phase) => match phase {
                Phase::Absent => "no server runs: nobody has the data directory",
                Phase::Initialising => "the database is being initialised",
                Phase::FirstRun => "first-run files are being loaded",
                Phase::Upgrading => "the database is being upgraded",
                Phase::Busy => "the server starts or recovers",
                Phase::Open => "the server lets nobody in: it starts or stops",
            }
            .to_owned(),
            Self::Serves(Some(port)) => format!("the server serves port {port}"),
            Self::Serves(None) => "the server serves its socket (skip-networking)".to_owned(),
            Self::NoPort(port) => format!("the server answers, and nobody listens on port {port}"),
            Self::Crowded => "the server serves, and all its connections are in use".to_owned(),
            Self::Refuses(text) => format!("the server answers, and refuses the agent: {text}"),
        }
    }

    /// `quiet` is for how long nothing of it was beyond reproach.
    pub(crate) fn live(&self, quiet: Duration) -> Verdict {
        Verdict {
            good: self.is_alive() || quiet < HUNG,
            why: self.why(quiet),
        }
    }

    /// The same for whoever looks once, for as long as `patience`.
    pub(crate) fn live_at_once(&self, patience: Duration) -> Verdict {
        Verdict {
            good: self.is_alive(),
            why: self.why(patience),
        }
    }

    /// `late` is for how long a look has been going on.
    pub(crate) fn ready(&self, quiet: Duration, late: Duration) -> Verdict {
        if late >= LATE && self.is_alive() {
            let why = format!("the server has not answered for {} s", late.as_secs());
            return Verdict { good: false, why };
        }
        Verdict {
            good: matches!(self, Self::Serves(_) | Self::Crowded),
            why: self.why(quiet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_of_everything_seen() {
        let short = Duration::from_secs(29);
        let phases = [
            (
                Phase::Absent,
                false,
                "no server runs: nobody has the data directory",
            ),
            (
                Phase::Initialising,
                true,
                "the database is being initialised",
            ),
            (Phase::FirstRun, true, "first-run files are being loaded"),
            (Phase::Upgrading, true, "the database is being upgraded"),
            (Phase::Busy, true, "the server starts or recovers"),
        ];
        for (phase, live, why) in phases {
            for seen in [Seen::Closed(phase), Seen::Silent(phase)] {
                let verdict = seen.live(HUNG);
                assert_eq!((verdict.good, &verdict.why[..]), (live, why), "{seen:?}");
                assert!(seen.live(short).good);
                assert!(!seen.ready(HUNG, Duration::ZERO).good);
            }
        }
    }

    #[test]
    fn verdicts_of_one_that_answers_or_should() {
        for (seen, live, ready, why) in [
            (
                Seen::Nothing,
                false,
                false,
                "the agent has not looked at the server yet",
            ),
            (
                Seen::Closed(Phase::Open),
                true,
                false,
                "the server lets nobody in: it starts or stops",
            ),
            (
                Seen::Silent(Phase::Open),
                false,
                false,
                "the server has not answered for 30 s",
            ),
            (
                Seen::Serves(Some(3306)),
                true,
                true,
                "the server serves port 3306",
            ),
            (
                Seen::Serves(None),
                true,
                true,
                "the server serves its socket (skip-networking)",
            ),
            (
                Seen::NoPort(3306),
                true,
                false,
                "the server answers, and nobody listens on port 3306",
            ),
            (
                Seen::Crowded,
                true,
                true,
                "the server serves, and all its connections are in use",
            ),
            (
                Seen::Refuses("Access denied".to_owned()),
                true,
                false,
                "the server answers, and refuses the agent: Access denied",
            ),
        ] {
            let verdict = seen.live(HUNG);
            assert_eq!((verdict.good, &verdict.why[..]), (live, why), "{seen:?}");
            assert_eq!(seen.ready(HUNG, Duration::ZERO).good, ready, "{seen:?}");
        }
        let late = Seen::Serves(Some(1)).ready(Duration::ZERO, LATE);
        assert_eq!(
            (late.good, &late.why[..]),
            (false, "the server has not answered for 5 s")
        );
    }
}

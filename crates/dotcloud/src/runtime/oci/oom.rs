//! Whom the kernel kills when a container's memory is out: a program and not supervisord, however
//! small the program, because with the first process all is gone and nobody left to start it again.

use std::fs;

/// `CAP_SYS_RESOURCE`, without which a score can only be raised.
const SYS_RESOURCE: u32 = 24;

/// Values of `oom_score_adj`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OomScores {
    pub(super) supervisord: Option<i32>,
    pub(super) programs: i32,
}

impl OomScores {
    /// What we have the right to.
    pub(super) fn here() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self::of(&status)
    }

    /// By our own rights, as /proc/self/status tells them.
    fn of(status: &str) -> Self {
        let rights = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
            .unwrap_or(0);
        if rights >> SYS_RESOURCE & 1 == 1 {
            Self {
                supervisord: Some(-900),
                programs: 0,
            }
        } else {
            Self {
                supervisord: None,
                programs: 900,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oom_scores_lower_supervisords_only_with_the_right_to() {
        let may = OomScores::of("Name:\tx\nCapEff:\t000001ffffffffff\n");
        assert_eq!((may.supervisord, may.programs), (Some(-900), 0));
        for status in ["CapEff:\t000001fffeffffff\n", "CapEff:\t0\n", ""] {
            let may_not = OomScores::of(status);
            assert_eq!((may_not.supervisord, may_not.programs), (None, 900));
        }
    }
}

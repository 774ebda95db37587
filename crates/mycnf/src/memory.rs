//! How a server is kept below its memory limit: what it takes by itself, its buffers and its
//! connections are summed up, and the buffer pool gets the rest. Pure; what the user set is counted and
//! never changed. The constants are measured (docs/hooks.md has the table).

mod class;

use thiserror::Error;

use crate::option_file::Value;
use crate::server::{Flavour, Version};
use crate::size::{GIB, KIB, MIB, exact_size, parse_size, shown_size};

use class::Class;

/// The platform gives memory out in blocks of this size (platform-contract.md §13).
const BLOCK: u64 = 32 * MIB;

/// What the page cache and the kernel get of the limit: the executable's own pages must not be
/// evicted all the time.
const HEADROOM: u64 = 16;

/// What else is in the container: supervisord takes 21 MiB.
const BESIDE: u64 = 24 * MIB;

/// As many as the servers are measured with at their smallest limits, and a few.
const FEWEST_CONNECTIONS: u64 = 36;

/// Every server's default.
const CONNECTIONS: u64 = 151;

/// A pool that we choose is a multiple of this.
const POOL_UNIT: u64 = 8 * MIB;

/// Control blocks, hash tables and locks of a pool, as a part of it.
const POOL_OVERHEAD: u64 = 10;

/// The servers round a pool up to chunks of this size, of which eight or more make up one of 1 GiB.
const CHUNK: u64 = 128 * MIB;

/// No machine has as much: sums of it do not overflow.
const ABSURD: u64 = 1 << 50;

/// How much memory to plan for, and how much must not be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes to plan for.
    pub budget: u64,
    /// Bytes above which the kernel kills.
    pub bound: u64,
}

impl Memory {
    /// As little as the server runs in, for one without clients.
    pub const LEAST: Self = Self {
        budget: 0,
        bound: u64::MAX,
    };
}

/// What goes where, and which options say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Options to set where the user has not.
    pub(crate) options: Vec<Sized>,
    /// What is summed up.
    parts: Vec<Part>,
    memory: Memory,
    floor: u64,
}

/// An option with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sized {
    pub(crate) option: &'static str,
    pub(crate) value: String,
    pub(crate) why: &'static str,
}

/// A summand.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    what: String,
    bytes: u64,
    /// Taken whatever the clients do.
    fixed: bool,
}

/// A buffer whose size an option sets.
struct Buffer {
    option: &'static str,
    /// Each connection may have one.
    per_connection: bool,
    /// What we set it to.
    chosen: Option<u64>,
    /// What it is if nobody sets it.
    default: u64,
}

const POOL: &str = "innodb-buffer-pool-size";
const POOL_WHY: &str = "what the memory limit leaves beside the server itself and its connections";
const CHUNK_WHY: &str = "the pool would be rounded up to a multiple of 128M";
const BUFFER_WHY: &str = "its share of the memory limit";
const CONNECTION_WHY: &str = "all connections together must stay below the memory limit";
const SCHEMA_WHY: &str = "takes more memory than the limit has to spare";
const CACHES_WHY: &str = "each open table takes memory, and so does what is recorded of it";

impl MemoryPlan {
    /// The plan for a server of `flavour` and `version`, where `user` tells what an option is set to.
    pub(crate) fn new(
        flavour: Flavour,
        version: Version,
        memory: Memory,
        user: impl Fn(&str) -> Option<Value>,
    ) -> Self {
        let class = Class::of(flavour, version);
        let budget = memory.budget.max(class.floor).min(memory.bound);
        let with_shares_of = |share| {
            let mut planning = Planning {
                class,
                budget,
                share,
                user: &user,
                plan: Self {
                    options: Vec::new(),
                    parts: Vec::new(),
                    memory,
                    floor: class.floor,
                },
            };
            planning.sum_up(flavour, version);
            planning.plan
        };
        let plan = with_shares_of(budget);
        if plan.total() <= memory.bound {
            return plan;
        }
        // The user's own values leave less: ours are those of the smallest limit then.
        with_shares_of(class.floor)
    }

    /// Bytes, all parts together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// The sum, for narration.
    #[must_use]
    pub fn sum(&self) -> String {
        let parts: Vec<String> = self
            .parts
            .iter()
            .map(|part| format!("{} {}", part.what, shown_size(part.bytes)))
            .collect();
        format!("{} = {}", parts.join(" + "), shown_size(self.total()))
    }

    /// Refuses a limit in which the server would be killed.
    pub fn check(&self) -> Result<(), MemoryError> {
        let limit = self.memory.bound;
        if limit < self.floor {
            let needed = self.floor;
            return Err(MemoryError::LimitTooSmall { needed, limit });
        }
        let fixed = self.parts.iter().filter(|part| part.fixed);
        if fixed.map(|part| part.bytes).sum::<u64>() > limit {
            return Err(MemoryError::OptionsTooLarge {
                needed: self.needed(),
                limit,
                sum: self.sum(),
            });
        }
        Ok(())
    }

    /// How much memory, in the platform's blocks, the server would need for clients that make use of
    /// all they may have, if that is more than there is.
    #[must_use]
    pub fn shortage(&self) -> Option<u64> {
        (self.total() > self.memory.bound).then(|| self.needed())
    }

    /// The limit at which the sum fits, of which the page cache gets more then.
    fn needed(&self) -> u64 {
        let budget = self.memory.budget.max(self.floor).min(self.memory.bound);
        let used = self.total() - budget / HEADROOM;
        let limit = (used * HEADROOM).div_ceil(HEADROOM - 1);
        limit.next_multiple_of(BLOCK)
    }
}

/// A plan in the making.
struct Planning<U> {
    class: &'static Class,
    budget: u64,
    /// The limit whose share each buffer gets: the budget, or less.
    share: u64,
    user: U,
    plan: MemoryPlan,
}

impl<U: Fn(&str) -> Option<Value>> Planning<U> {
    fn sum_up(&mut self, flavour: Flavour, version: Version) {
        self.fixed("supervisord".to_owned(), BESIDE);
        self.fixed("the server itself".to_owned(), self.class.baseline);
        self.schema_and_caches();
        let per_connection = self.buffers();
        self.part("the page cache".to_owned(), self.budget / HEADROOM, false);
        if let Some(pool) = self.number(POOL) {
            self.add_pool(pool);
            self.connections(per_connection, self.rest());
        } else {
            // Half of what is left is for the connections, if that is enough for the fewest.
            self.connections(per_connection, self.rest() / 2);
            self.choose_pool(flavour, version);
        }
    }

    fn part(&mut self, what: String, bytes: u64, fixed: bool) {
        let bytes = bytes.min(ABSURD);
        self.plan.parts.push(Part { what, bytes, fixed });
    }

    fn fixed(&mut self, what: String, bytes: u64) {
        self.part(what, bytes, true);
    }

    fn set(&mut self, option: &'static str, value: String, why: &'static str) {
        self.plan.options.push(Sized { option, value, why });
    }

    /// What the user set a number or size to; the server itself refuses what is neither.
    fn number(&self, option: &str) -> Option<u64> {
        let value = (self.user)(option)?.value?;
        Some(parse_size(std::str::from_utf8(&value).ok()?)?.min(ABSURD))
    }

    fn schema_and_caches(&mut self) {
        let trimmed = self.share < self.class.caches_from;
        if trimmed {
            for option in ["table-open-cache", "table-definition-cache"] {
                self.set(option, "400".to_owned(), CACHES_WHY);
            }
        }
        let wanted = match (self.user)("performance-schema").map(|found| found.value) {
            Some(value) => !matches!(
                value.map(|value| value.to_ascii_lowercase()).as_deref(),
                Some(b"0" | b"off" | b"false")
            ),
            None => self.class.schema_by_default && self.share >= self.class.schema_from,
        };
        if self.class.schema_by_default && self.share < self.class.schema_from {
            self.set("performance-schema", "OFF".to_owned(), SCHEMA_WHY);
        }
        if wanted {
            let (small, large) = self.class.schema;
            let own_caches = (self.user)("table-definition-cache").is_some();
            let bytes = if trimmed && !own_caches { small } else { large };
            self.fixed("performance-schema".to_owned(), bytes);
        }
    }

    /// Sums up the buffers there is one of; the result is what each connection may have.
    fn buffers(&mut self) -> u64 {
        let mut per_connection = self.class.connection;
        for buffer in self.class.buffers(self.share) {
            let Buffer {
                option,
                chosen,
                default,
                ..
            } = buffer;
            let bytes = self.number(option).or(chosen).unwrap_or(default);
            let why = if buffer.per_connection {
                per_connection += bytes;
                CONNECTION_WHY
            } else {
                self.fixed(option.to_owned(), bytes);
                BUFFER_WHY
            };
            if let Some(chosen) = chosen.filter(|chosen| *chosen != default) {
                self.set(option, exact_size(chosen), why);
            }
        }
        per_connection
    }

    /// As many of `each` bytes as `bytes` are enough for.
    fn connections(&mut self, each: u64, bytes: u64) {
        let chosen = (bytes / each).clamp(FEWEST_CONNECTIONS, CONNECTIONS);
        if chosen < CONNECTIONS {
            self.set("max-connections", chosen.to_string(), CONNECTION_WHY);
        }
        let count = self.number("max-connections").unwrap_or(chosen);
        let what = format!("{count} connections of {}", shown_size(each));
        self.part(what, count.saturating_mul(each), false);
    }

    fn rest(&self) -> u64 {
        self.budget.saturating_sub(self.plan.total())
    }

    fn choose_pool(&mut self, flavour: Flavour, version: Version) {
        let rest = self.rest();
        let pool = rounded_pool(rest - rest / (POOL_OVERHEAD + 1));
        let chunked = match flavour {
            Flavour::MariaDb => version < Version::new(10, 8, 0),
            Flavour::MySql | Flavour::Percona => version >= Version::new(5, 7, 5),
        };
        if chunked && pool > CHUNK && pool < GIB {
            let option = "innodb-buffer-pool-chunk-size";
            self.set(option, exact_size(POOL_UNIT), CHUNK_WHY);
        }
        self.add_pool(pool);
    }

    fn add_pool(&mut self, pool: u64) {
        self.set(POOL, exact_size(pool), POOL_WHY);
        let bytes = pool.saturating_add(pool / POOL_OVERHEAD);
        let what = format!("{POOL} {} with its overhead", shown_size(pool));
        self.fixed(what, bytes);
    }
}

/// Servers round up, so that we round down first: to chunks of ours, from 1 GiB on to eight of theirs.
fn rounded_pool(bytes: u64) -> u64 {
    let unit = if bytes < GIB { POOL_UNIT } else { 8 * CHUNK };
    (bytes - bytes % unit).max(POOL_UNIT)
}

/// `bytes` as a round number: whole M, below that a multiple of 64K.
fn round(bytes: u64) -> u64 {
    let unit = if bytes < MIB { 64 * KIB } else { MIB };
    bytes - bytes % unit
}

/// The kernel would kill this server.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MemoryError {
    /// Whatever its options.
    #[error("the server needs {needed} of memory, and the limit is {limit}", limit = shown_size(*limit), needed = shown_size(*needed))]
    LimitTooSmall {
        /// Bytes it runs in.
        needed: u64,
        /// Bytes it has.
        limit: u64,
    },
    /// With the options of my.cnf.
    #[error("with the options of my.cnf the server needs {needed} of memory, and the limit is {limit}", limit = shown_size(*limit), needed = shown_size(*needed))]
    OptionsTooLarge {
        /// Bytes it would run in.
        needed: u64,
        /// Bytes it has.
        limit: u64,
        /// How they come about.
        sum: String,
    },
}

#[cfg(test)]
mod tests;

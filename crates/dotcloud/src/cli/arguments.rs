//! Arguments of single verbs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::backup::{Calendar, Keep};
use crate::image::Tag;
use crate::model::application::Selection;
use crate::model::runtime_choice::RuntimeChoice;
use crate::service::since::{self, Since};
use crate::upload::{Compare, Vcs};

/// How a reading verb prints.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// What of an image is chosen.
#[derive(Args, Debug)]
pub(crate) struct Image {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
    /// The file to write
    #[arg(short = 'o', long, value_name = "FILE.tar")]
    pub(crate) output: PathBuf,
    /// The option of every verb, whose short form is the file's here; clap gives it to both, by its name
    #[arg(id = "assume_no", long = "assume-no", hide = true)]
    _assume_no: bool,
    /// A name; again for more [default: localhost/APP-SERVICE:latest]
    #[arg(long, value_name = "NAME:TAG")]
    pub(crate) tag: Vec<Tag>,
    /// A root file system, as tar or tar.gz, to build on instead of Debian's packages
    #[arg(long, value_name = "FILE")]
    pub(crate) base: Option<PathBuf>,
}

/// How far `traffic` looks back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Period {
    /// The last hour, by the minute
    #[default]
    #[value(name = "1h")]
    Hour,
    /// Six hours, by five minutes
    #[value(name = "6h")]
    SixHours,
    /// A day, by the hour
    #[value(name = "1d")]
    Day,
    /// A week, by six hours
    #[value(name = "1w")]
    Week,
    /// 31 days, by the day
    #[value(name = "1M")]
    Month,
}

impl Period {
    /// In seconds.
    pub(crate) fn length(self) -> u64 {
        match self {
            Self::Hour => 3600,
            Self::SixHours => 6 * 3600,
            Self::Day => 24 * 3600,
            Self::Week => 7 * 24 * 3600,
            Self::Month => 31 * 24 * 3600,
        }
    }

    /// Of one line, in seconds.
    pub(crate) fn step(self) -> u64 {
        match self {
            Self::Hour => 60,
            Self::SixHours => 5 * 60,
            Self::Day => 3600,
            Self::Week => 6 * 3600,
            Self::Month => 24 * 3600,
        }
    }

    /// Whether it needs what is kept by the minute.
    pub(crate) fn is_of_minutes(self) -> bool {
        matches!(self, Self::Hour | Self::SixHours)
    }
}

/// Arguments of `create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// Lower-case letters, digits, - and _; at most 32
    #[arg(value_name = "APP")]
    pub(crate) name: String,
    /// What the service is told its flavor is
    #[arg(short, long, default_value = "live")]
    pub(crate) flavor: String,
    #[command(flatten)]
    pub(crate) protocol: Protocol,
    /// What runs its containers
    #[arg(
        long,
        env = "DOTCLOUD_RUNTIME",
        value_name = "RUNTIME",
        default_value = "auto"
    )]
    pub(crate) runtime: RuntimeChoice,
}

/// What a push uploads.
#[derive(Args, Clone, Debug)]
pub(crate) struct Protocol {
    /// Upload the files as they are
    #[arg(long)]
    pub(crate) rsync: bool,
    /// Upload what is committed with git
    #[arg(long, conflicts_with = "rsync")]
    pub(crate) git: bool,
    /// Upload what is committed with Mercurial
    #[arg(long, conflicts_with_all = ["rsync", "git"])]
    pub(crate) hg: bool,
    /// With --git or --hg: the branch; default: the one that is checked out
    #[arg(short, long, value_name = "NAME", conflicts_with = "rsync")]
    pub(crate) branch: Option<String>,
}

impl Protocol {
    /// The program whose commits are asked for by name.
    pub(crate) fn vcs(&self) -> Option<Vcs> {
        match (self.git, self.hg) {
            (true, _) => Some(Vcs::Git),
            (_, true) => Some(Vcs::Hg),
            (false, false) => None,
        }
    }
}

/// Not the real thing.
#[derive(Args, Debug)]
pub(crate) struct Trial {
    /// Do not push it: build it apart, and try it out on the last backup of what serves
    #[arg(long, conflicts_with_all = ["clean", "rollback", "no_copy"])]
    pub(crate) rehearse: bool,
}

/// Arguments of `push`.
#[derive(Args, Debug)]
pub(crate) struct Push {
    /// The directory with dotcloud.yml; default: the connected directory, else this one
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) protocol: Protocol,
    /// With --git or --hg: the commit
    #[arg(short, long, value_name = "HASH", conflicts_with_all = ["rsync", "branch"])]
    pub(crate) commit: Option<String>,
    #[command(flatten)]
    pub(crate) upload: Upload,
    /// Build from nothing instead of from the previous result
    #[arg(long)]
    pub(crate) clean: bool,
    /// Move ~/data back to the old container if the new one does not come up
    #[arg(long)]
    pub(crate) rollback: bool,
    #[command(flatten)]
    pub(crate) trial: Trial,
    /// Do not copy ~/data before another release gets it
    #[arg(long)]
    pub(crate) no_copy: bool,
    /// What runs its containers from now on; default: as before
    #[arg(long, env = "DOTCLOUD_RUNTIME", value_name = "RUNTIME")]
    pub(crate) runtime: Option<RuntimeChoice>,
}

/// How a push uploads.
#[derive(Args, Debug)]
pub(crate) struct Upload {
    /// Name every file that is uploaded or removed, and show the details that hooks report
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Compare the content of every file with what was uploaded before
    #[arg(long)]
    checksum: bool,
}

impl Upload {
    /// How files that were uploaded before are told.
    pub(crate) fn compare(&self) -> Compare {
        if self.checksum {
            Compare::Content
        } else {
            Compare::Times
        }
    }
}

/// Arguments of `deploy`.
#[derive(Args, Debug)]
pub(crate) struct Deploy {
    /// A revision of 'dotcloud revisions', latest or previous
    #[arg(value_name = "REVISION|latest|previous")]
    pub(crate) revision: String,
    /// Build it again, from nothing
    #[arg(long)]
    pub(crate) clean: bool,
    /// Move ~/data back to the old container if the new one does not come up
    #[arg(long)]
    pub(crate) rollback: bool,
    /// Do not copy ~/data before another release gets it
    #[arg(long)]
    pub(crate) no_copy: bool,
}

/// Arguments of `dlogs`.
#[derive(Args, Debug)]
pub(crate) struct Dlogs {
    /// A deployment of 'dotcloud dlist', or latest
    #[arg(value_name = "ID|latest")]
    pub(crate) deployment: String,
    /// Only the lines of a service, or of an instance
    #[arg(value_name = "SERVICE[.N]")]
    pub(crate) selection: Option<Selection>,
    /// Do not wait for more
    #[arg(short = 'N', long)]
    pub(crate) no_follow: bool,
    /// Begin with the last so many lines; default: all
    #[arg(short = 'n', long)]
    pub(crate) lines: Option<usize>,
}

/// Arguments of `logs`.
#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// Services or instances; default: all
    #[arg(value_name = "SERVICE[.N]")]
    pub(crate) selections: Vec<Selection>,
    /// Do not wait for more
    #[arg(short = 'N', long)]
    pub(crate) no_follow: bool,
    /// Begin with this many lines of every log; default: 100, with --since all
    #[arg(short = 'n', long)]
    pub(crate) lines: Option<usize>,
    /// Begin with what was written since: 90s, 10m, 2h or 1d ago, or a date
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Since>,
}

/// Arguments of `status`.
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Only this service, or instance
    #[arg(value_name = "SERVICE[.N]")]
    pub(crate) service: Option<Selection>,
    /// Wait until it serves, at most so long; without TIME: 60s
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "60s",
        value_parser = since::limit
    )]
    pub(crate) wait: Option<Duration>,
    #[command(flatten)]
    pub(crate) form: Form,
}

/// Arguments of `backup`.
#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// Services or instances; default: all that have backups
    #[arg(value_name = "SERVICE[.N]")]
    pub(crate) selections: Vec<Selection>,
    /// Where to: restic:REPOSITORY or exec:COMMAND; default: this machine
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: Option<String>,
    /// The file with the repository's password
    #[arg(long, value_name = "FILE", requires = "to")]
    pub(crate) password_file: Option<PathBuf>,
    /// Then keep one of each of so many days, weeks and months, such as 7d,4w,6m
    #[arg(long, value_name = "DAYS,WEEKS,MONTHS")]
    pub(crate) keep: Option<Keep>,
    /// Try out a backup that was made before; with --every: how often the newest one is (always, daily,
    /// weekly, monthly)
    #[arg(long, value_name = "ID|latest|OFTEN")]
    pub(crate) verify: Option<String>,
    /// Only what was changed since the last time, for 'restore --at'
    #[arg(long, conflicts_with_all = ["verify", "keep"])]
    pub(crate) ship: bool,
    /// Have it done from now on: every minute, hour, day, week, or five fields of cron
    #[arg(long, value_name = "WHEN", conflicts_with = "never")]
    pub(crate) every: Option<Calendar>,
    /// With --every: run this program when backups begin to fail, are missed, or are good again
    #[arg(long, value_name = "PROGRAM", requires = "every")]
    pub(crate) notify: Option<String>,
    /// Have it done no more
    #[arg(long, conflicts_with_all = ["verify", "keep", "to", "selections"])]
    pub(crate) never: bool,
    /// What the machine calls
    #[arg(long, hide = true, value_name = "KIND")]
    pub(crate) scheduled: Option<String>,
}

/// Arguments of `up`.
#[derive(Args, Debug)]
pub(crate) struct Up {
    /// Do not wait until the services answer
    #[arg(long, conflicts_with = "as_copy")]
    pub(crate) no_wait: bool,
    /// Make a copied state directory one of its own, and deploy what is in it at new ports
    #[arg(long, conflicts_with = "application")]
    pub(crate) as_copy: bool,
    #[command(flatten)]
    pub(crate) boot: Boot,
}

/// What happens when the machine starts.
#[derive(Args, Debug)]
pub(crate) struct Boot {
    /// Have it done when the machine has started, too
    #[arg(long, conflicts_with_all = ["as_copy", "application"])]
    pub(crate) at_boot: bool,
    /// Have it done no more
    #[arg(long, conflicts_with_all = ["no_wait", "as_copy", "application", "at_boot"])]
    pub(crate) no_at_boot: bool,
}

/// Arguments of `backups`.
#[derive(Args, Debug)]
pub(crate) struct Backups {
    /// Only those of this service, or instance
    #[arg(value_name = "SERVICE[.N]")]
    pub(crate) selection: Option<Selection>,
    #[command(flatten)]
    pub(crate) origin: Origin,
    #[command(flatten)]
    pub(crate) form: Form,
}

/// Where backups are that this machine has no records of.
#[derive(Args, Debug)]
pub(crate) struct Origin {
    /// As a repository has them, restic:REPOSITORY, not as this machine knows
    #[arg(long, value_name = "PLACE", requires = "password_file")]
    pub(crate) from: Option<String>,
    /// The file with the repository's password
    #[arg(long, value_name = "FILE", requires = "from")]
    pub(crate) password_file: Option<PathBuf>,
}

/// Arguments of `restore`.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// The instance whose backup it is; of a service with one instance, its name will do
    #[arg(value_name = "SERVICE[.N]")]
    pub(crate) instance: Selection,
    /// The backup, of 'dotcloud backups'
    #[arg(value_name = "ID|latest")]
    pub(crate) id: String,
    /// Replay what was changed since then, up to this time ('2026-11-30 12:00:00', of this machine's zone
    /// unless it ends with Z or +01:00), or to a transaction and with it
    #[arg(long, value_name = "TIME|TRANSACTION", conflicts_with = "from")]
    pub(crate) at: Option<String>,
    /// With --at: also if changes are missing in between
    #[arg(long, requires = "at")]
    pub(crate) allow_gap: bool,
    /// Bring it back in another application, which has the same service
    #[arg(long, value_name = "APP")]
    pub(crate) into: Option<String>,
    #[command(flatten)]
    pub(crate) origin: Origin,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The instance; of a service with one instance, its name will do
    #[arg(value_name = "SERVICE[.N]")]
    pub(crate) instance: Selection,
    /// The command; default: a shell
    #[arg(value_name = "COMMAND", allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

/// What to do with variables.
#[derive(Debug, Subcommand)]
pub(crate) enum Env {
    /// Print every variable of the application, the platform's included, one NAME=VALUE per line
    #[command(after_help = "\
The values are printed, too; one of several lines, or with other control
characters, in the form $'a\\nb', which bash reads.

Example:
  dotcloud env list")]
    List(Form),
    /// Set variables, then deploy
    #[command(after_help = "\
Example:
  dotcloud env set MYSQL_ROOT_PASSWORD=secret MODE=fast")]
    Set {
        /// Letters, digits and underscores; not beginning with a digit or DOTCLOUD_
        // Read by the verb: an error of clap's would repeat the value.
        #[arg(value_name = "NAME=VALUE", required = true)]
        assignments: Vec<String>,
    },
    /// Remove variables, then deploy
    #[command(after_help = "\
Example:
  dotcloud env unset MODE")]
    Unset {
        /// The variables
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
}

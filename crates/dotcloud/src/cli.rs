//! The command line: arguments and their help, no behaviour.

mod arguments;
pub(crate) mod scaling;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use arguments::{
    Backup, Backups, Create, Deploy, Dlogs, Env, Form, Image, Logs, Origin, Period, Protocol, Push,
    Restore, Run, Status, Up, Upload,
};

use crate::cli::scaling::Scaling;
use crate::model::application::Selection;
use crate::network::gateway;
use crate::output::console::Assume;

/// The dotCloud platform on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "dotcloud",
    version,
    disable_version_flag = true,
    arg_required_else_help = true,
    // What is wider is hard to read, and examples are this wide.
    max_term_width = 80,
    after_help = "\
State is kept in $DOTCLOUD_HOME, else as root in /var/lib/dotcloud, else in
$XDG_DATA_HOME/dotcloud or ~/.local/share/dotcloud. Started by root, services
run as a uid of their application's own, gid 33; else as you.

Examples:
  dotcloud create mysql       make an application, connect this directory to it
  dotcloud push               build and deploy what is here
  dotcloud info               what runs, and where"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Work on APP instead of the application this directory is connected to
    #[arg(short = 'A', long, global = true, value_name = "APP")]
    pub(crate) application: Option<String>,
    /// Show a failure as the program has it, too
    #[arg(short = 'D', long, global = true)]
    pub(crate) debug: bool,
    /// Answer every question with yes
    #[arg(short = 'y', long, global = true, conflicts_with = "assume_no")]
    pub(crate) assume_yes: bool,
    /// Answer every question with no
    #[arg(short = 'o', long, global = true)]
    pub(crate) assume_no: bool,
    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

impl Global {
    /// How questions are to be answered.
    pub(crate) fn assume(&self) -> Assume {
        match (self.assume_yes, self.assume_no) {
            (true, _) => Assume::Yes,
            (false, true) => Assume::No,
            (false, false) => Assume::Nothing,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List all applications
    #[command(after_help = "\
The one this directory is connected to is starred.

Example:
  dotcloud list")]
    List(Form),
    /// Create an application
    #[command(after_help = "\
Examples:
  dotcloud create mysql       asks whether to connect this directory to it
  dotcloud create -y mysql    connects it without asking
  dotcloud create --runtime process mysql
                              without containers, even where they would work")]
    Create(Create),
    /// Connect this directory to an application
    #[command(after_help = "\
The connection is kept in .dotcloud/config; it holds for the directories below,
too.

Example:
  dotcloud connect mysql")]
    Connect {
        /// The application, which must exist
        #[arg(value_name = "APP")]
        name: String,
        #[command(flatten)]
        protocol: Protocol,
    },
    /// Disconnect this directory from its application
    #[command(after_help = "\
The application itself stays as it is.

Example:
  dotcloud disconnect")]
    Disconnect,
    /// Print the name of the application this directory is connected to
    #[command(after_help = "\
Example:
  dotcloud app")]
    App,
    /// Upload, build and deploy
    #[command(after_help = "\
Uploads PATH as rsync would, without *.pyc, .git, .hg and what .dotcloudignore
lists; with --git or --hg what is committed there, and nothing else: no file
that is ignored, a tarball perhaps. Every service of dotcloud.yml is built and
every instance gets a new container, to which ~/data moves. Until its own turn
comes the old instance keeps serving.

DOTCLOUD_BUILD_LIMIT (900), DOTCLOUD_POSTINSTALL_LIMIT (600) and
DOTCLOUD_LAUNCH_LIMIT (60) say how many seconds a build, a postinstall and a
start may take.

Exit status: 0 deployed, 1 not begun, 2 the deployment failed.

Examples:
  dotcloud push               what this directory is connected to
  dotcloud push --clean       without the result of the previous build
  dotcloud push --git         what is committed on the current branch
  dotcloud push --runtime oci in containers, now and from now on
  dotcloud push -A mysql src  the directory src, to the application mysql")]
    Push(Push),
    /// Show the application, or one service with its instances
    #[command(after_help = "\
Examples:
  dotcloud info
  dotcloud info db
  dotcloud info --json | jq -r '.services[].instances[].container'")]
    Info {
        /// Only this service
        #[arg(value_name = "SERVICE")]
        service: Option<Selection>,
        #[command(flatten)]
        form: Form,
    },
    /// Show whether the instances of a service run
    #[command(after_help = "\
With --wait it ends as soon as everything that is shown serves: every program
runs, every port answers. What it waits for is said. The exit status is 1 if
something does not serve within that time.

Examples:
  dotcloud status             everything
  dotcloud status db
  dotcloud status --wait db && ./load-data
  dotcloud status --wait=5m")]
    Status(Status),
    /// Show the public address of every service, or of one
    #[command(after_help = "\
Example:
  dotcloud url db")]
    Url {
        /// Only this service
        #[arg(value_name = "SERVICE")]
        service: Option<Selection>,
        #[command(flatten)]
        form: Form,
    },
    /// Show what passed the public ports of an instance
    #[command(after_help = "\
Connections that were opened, and bytes from clients (in) and to them (out).
Kept by the minute for six hours, by the hour for 31 days.

Examples:
  dotcloud traffic db.0       the last hour, by the minute
  dotcloud traffic db.0 1w    a week, by six hours")]
    Traffic {
        /// The instance
        #[arg(value_name = "SERVICE.N")]
        instance: Selection,
        /// How far back
        #[arg(value_name = "PERIOD", default_value = "1h")]
        period: Period,
        #[command(flatten)]
        form: Form,
    },
    /// Show how much memory an instance uses
    #[command(after_help = "\
What is used now, what of it is cache of files, which the kernel takes back when
memory gets short, the most since the instance was started, and the limit. Where
the kernel does not count for the instance, it is what its processes add up to.

Examples:
  dotcloud memory db.0
  dotcloud memory db.0 --json | jq .used")]
    Memory {
        /// The instance
        #[arg(value_name = "SERVICE.N")]
        instance: Selection,
        #[command(flatten)]
        form: Form,
    },
    /// Open the web page of a service in the browser
    #[command(after_help = "\
Needs xdg-open, or another program that opens a page.

Example:
  dotcloud open web")]
    Open {
        /// The service; default: the only one with an http port
        #[arg(value_name = "SERVICE")]
        service: Option<Selection>,
    },
    /// Show what the services' programs wrote, and follow it
    #[command(after_help = "\
Of every instance: what its programs write to standard output and error, and the
files in ~/data/logs, rotated ones included. Ends with Ctrl-C, unless -N is
given.

Examples:
  dotcloud logs               everything
  dotcloud logs db.0 web      one instance, and all instances of another service
  dotcloud logs -N -n 20 db   the last 20 lines of every log
  dotcloud logs --since 10m   lines dated within the last 10 minutes, and logs
                              without dates that were written since")]
    Logs(Logs),
    /// Run a command, or a shell, in an instance
    #[command(
        after_help = "\
The words are joined by spaces and given to a login bash in the container's
home, which sources ~/profile first: quote what your own shell must not expand.
The exit status is the command's.

Examples:
  dotcloud run db                         a shell
  dotcloud run db.0 env                   one command
  dotcloud run db 'echo $HOME; ls -l'     expanded in the container",
        trailing_var_arg = true
    )]
    Run(Run),
    /// Restart the programs of an instance
    #[command(after_help = "\
The container stays, with its ~/data; postinstall is not run again.

Example:
  dotcloud restart db.0")]
    Restart {
        /// The instance
        #[arg(value_name = "SERVICE.N")]
        instance: Selection,
    },
    /// Write a built service to a file that container engines load
    #[command(after_help = "\
What was built last, on libc and the service's systempackages of this machine's
Debian release, as an OCI layout that 'docker load' takes as well. What is below
'image:' of the service in dotcloud.yml says how it is started; docs/image.md.
Variables that were set with 'env' are not in it.

Examples:
  dotcloud image db -o db.tar
  dotcloud image db -o db.tar --tag me/mysql:9.7 --tag me/mysql:latest
  dotcloud image db -o db.tar --base debian-rootfs.tar.gz")]
    Image(Image),
    /// List the revisions whose code is kept
    #[command(after_help = "\
The last five that were pushed, and those that run, which are starred; oldest
first.

Example:
  dotcloud revisions")]
    Revisions(Form),
    /// Deploy code that was pushed before
    #[command(after_help = "\
A deployment like that of a push, without the upload: it is built again, on the
result of the last build, and ~/data moves on. Older programs meet newer data
then. The exit status is 0 even if the deployment failed: read what it says, or
'dotcloud dlist'.

Examples:
  dotcloud deploy latest                  what was pushed last
  dotcloud deploy previous                the revision before the one that runs
  dotcloud deploy rsync-1384300000000 --clean")]
    Deploy(Deploy),
    /// List the last deployments
    #[command(after_help = "\
Example:
  dotcloud dlist")]
    Dlist(Form),
    /// Show what a deployment said, and follow it until it ends
    #[command(after_help = "\
Examples:
  dotcloud dlogs latest
  dotcloud dlogs 12 db.0                  what concerns one instance
  dotcloud dlogs -N -n 20 latest          the last 20 lines of what is there")]
    Dlogs(Dlogs),
    /// Change how many instances a service has, or their memory
    #[command(after_help = "\
A number of instances holds from now on, whatever dotcloud.yml says, and the
application is deployed again, as it was pushed last; the exit status is 0 even
if that deployment failed: read what it says. Scaling down removes the instances
with the highest numbers and their ~/data; it asks first.

Memory is reserved for each instance, without a deployment: from 32M to 64G,
rounded to the nearest 32M. B, K, M and G are known; a bare number is bytes.

Examples:
  dotcloud scale web=3                    the same as web:instances=3
  dotcloud scale web=1 -y                 web.1 and web.2 go, without a question
  dotcloud scale db:memory=512M web=2")]
    Scale {
        /// Service and number of instances, or amount of memory
        #[arg(value_name = "SERVICE[:instances|:memory]=VALUE", required = true)]
        scalings: Vec<Scaling>,
    },
    /// List, set or remove variables of the whole application
    #[command(
        after_help = "\
They reach every hook and process of every service, and override the
'environment:' of dotcloud.yml. Setting and removing deploys the application
again, as it was pushed last, and exits with 0 even if that deployment failed:
read what it says. Values are kept in a file that only you can read; what you
type stays in your shell's history, though.

Examples:
  dotcloud env set MYSQL_ROOT_PASSWORD=secret MODE=fast
  dotcloud env unset MODE
  dotcloud env list",
        arg_required_else_help = true
    )]
    #[command(subcommand)]
    Env(Env),
    /// Start every application that ran, as after a reboot
    #[command(after_help = "\
In the containers they had, without a build or a deployment. What runs is left
alone, and so is what 'dotcloud down' stopped, unless it is named with -A. One
that cannot be started does not keep the others down; the exit status is 1 then,
and so it is, by name, for an instance that does not answer in the time that a
push would give it (DOTCLOUD_LAUNCH_LIMIT, 60).

Examples:
  dotcloud up                 every application
  dotcloud up --at-boot       now and whenever the machine has started, by systemd or cron
  dotcloud up -A mysql        only this one, also after 'dotcloud down'")]
    Up(Up),
    /// Stop the application, keeping everything
    #[command(after_help = "\
Every process ends, the public addresses too; containers and ~/data stay.
'dotcloud up -A APP', the next push or 'dotcloud restart SERVICE.N' starts it
again.

Example:
  dotcloud down")]
    Down,
    /// Back up what the services keep, or try a backup out
    #[command(after_help = "\
Of every instance whose service has a 'backup' in dotcloud.yml, or of those that
are named, while it serves. A copy is kept below the state directory,
deduplicated and compressed by restic, or where --to says: in a restic
repository of yours, or wherever a command puts the archive that it gets on
standard input when $BACKUP_ACTION is put, and from where it gives it back when
that is get; $BACKUP is its name. It counts once it was read back from there.

--verify brings a backup up in a container of its own, has the service's program
check all of it, and removes that container.

--keep removes what is older than it says, except the last backup that was tried
out, from restic's repositories; what --to exec: put somewhere stays there.

Examples:
  dotcloud backup                         everything
  dotcloud backup db.0
  dotcloud backup --to restic:sftp:me@host:/srv/backups --password-file ~/.restic
  dotcloud backup --to 'exec:./archive.sh'
  dotcloud backup --keep 7d,4w,6m
  dotcloud backup --verify latest
  dotcloud backup --every day --keep 7d,4w,6m --verify weekly --notify ~/mail-me
  dotcloud backup --ship --every minute    what was changed, for 'restore --at'
  dotcloud backup --never")]
    Backup(Backup),
    /// List the backups
    #[command(after_help = "\
They are kept when the application is destroyed.

Examples:
  dotcloud backups
  dotcloud backups db.0 --json
  dotcloud backups --from restic:/srv/backups --password-file ~/.restic
                              what another machine sent there")]
    Backups(Backups),
    /// Bring a backup back
    #[command(after_help = "\
It is fetched and verified while the instance serves. Then the instance is
stopped, its ~/data is moved aside, and the backup takes its place. If it does
not serve with that, it gets its own data back. What gave way is never removed;
the last line says where it is.

Examples:
  dotcloud restore db.0 latest
  dotcloud restore db.0 20261201-120000
  dotcloud restore db.0 latest --into shop2   to the instance db.0 of another
                              application
  dotcloud restore db.0 latest --from restic:/srv/backups --password-file ~/.restic
                              what another machine sent there")]
    Restore(Restore),
    /// Destroy the application, or one service, and its data
    #[command(after_help = "\
~/data of every instance is removed. This cannot be undone.

Examples:
  dotcloud destroy db         one service; with the next push it comes back, empty,
                              unless dotcloud.yml loses it, too
  dotcloud destroy -y         all of the application, without asking")]
    Destroy {
        /// Only this service
        #[arg(value_name = "SERVICE")]
        service: Option<Selection>,
    },
    /// Print completions for a shell
    #[command(after_help = "\
Examples:
  dotcloud completions bash >>~/.bashrc   with names of applications and services
  dotcloud completions zsh > ~/.zfunc/_dotcloud
  dotcloud completions fish > ~/.config/fish/completions/dotcloud.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or that of a verb
    #[command(after_help = "\
Examples:
  dotcloud man | man -l -
  dotcloud man push > dotcloud-push.1
  dotcloud man env set > dotcloud-env-set.1")]
    Man {
        /// Only this verb
        #[arg(value_name = "VERB")]
        verb: Vec<String>,
    },
    /// Print the names that a word of a command line may be
    #[command(hide = true)]
    Names {
        /// Of the word
        index: usize,
        /// The command line, `dotcloud` first
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Relay a public port to the instance that serves
    #[command(hide = true)]
    Gateway(gateway::Options),
    /// Have the kernel lead clients past the relays
    #[command(hide = true)]
    Shortcuts(gateway::ShortcutOptions),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_visible_verb_has_an_example() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string);
            assert!(
                verb.is_hide_set() || help.is_some_and(|text| text.contains("Example")),
                "{}",
                verb.get_name()
            );
        }
    }

    #[test]
    fn image_o_is_the_file_and_before_the_verb_the_answer() {
        for (line, no) in [
            (&["dotcloud", "image", "db", "-o", "x.tar"][..], false),
            (&["dotcloud", "-o", "image", "db", "-o", "x.tar"], true),
            (
                &["dotcloud", "image", "--assume-no", "db", "--output=x.tar"],
                true,
            ),
        ] {
            let cli = Cli::parse_from(line);
            let Verb::Image(image) = cli.verb else {
                panic!("{cli:?}");
            };
            assert_eq!(image.output, std::path::Path::new("x.tar"));
            assert_eq!(cli.global.assume_no, no, "{line:?}");
        }
        let cli = Cli::parse_from(["dotcloud", "push", "-o"]);
        assert!(cli.global.assume_no);
    }

    #[test]
    fn run_takes_options_of_the_command_as_they_are() {
        let cli = Cli::parse_from(["dotcloud", "run", "db.0", "ls", "-y", "--", "x"]);
        let Verb::Run(run) = cli.verb else {
            panic!("{cli:?}");
        };
        assert_eq!(run.command, ["ls", "-y", "--", "x"]);
        assert!(!cli.global.assume_yes);

        let cli = Cli::parse_from(["dotcloud", "run", "db", "--", "ls", "-l"]);
        let Verb::Run(run) = cli.verb else {
            panic!("{cli:?}");
        };
        assert_eq!(run.command, ["ls", "-l"]);
    }
}

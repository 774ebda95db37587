//! The command line of `repack fetch`. stdout gets the file's path or the JSON only.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hook::{ExitStatus, render};

use super::checksum::{Checksum, md5, sha256};
use super::glibc::Glibc;
use super::url::{file_name, mirror};
use super::wanted::Wanted;
use super::{Job, fetch};

const AFTER_HELP: &str = "\
The tarball is looked for at the vendor's download site, then in its archive: the newest build that
this machine's glibc can run. It has its name only once it is complete; what an interrupted run leaves,
NAME.part and NAME.part.json, the next run goes on with. The system's curl downloads it: proxies are
taken from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, as curl does; ~/.curlrc is not read.

Examples:
  repack fetch 8.4
  repack fetch 8.4.6
  repack fetch mariadb-11.4.5 --sha256 HEX -o ~/tarballs
  repack fetch percona-8.0.36-28 --glibc 2.17
  repack fetch https://mirror.example.com/mysql-8.4.6-linux-glibc2.28-x86_64.tar.xz
  repack -o hooks/mysql.tar.gz \"$(repack fetch 8.4.6)\"

Exit status: 0 the tarball is there, 1 failed, 2 wrong usage, 70 a defect of repack.";

/// What `repack fetch` takes.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Fetch {
    /// A version (8.4.6, mariadb-11.4.5, percona-8.0.36-28, mysql-cluster-8.0.35), a series (8.4,
    /// mariadb-11.4: its newest release), or the URL of a tarball
    #[arg(value_name = "VERSION|URL")]
    wanted: Wanted,

    /// The SHA-256 that the tarball must have; a line of sha256sum will do
    #[arg(long, value_name = "HEX", value_parser = sha256, conflicts_with = "md5")]
    sha256: Option<Checksum>,

    /// The MD5 that the tarball must have, as MySQL's download page shows it
    #[arg(long, value_name = "HEX", value_parser = md5)]
    md5: Option<Checksum>,

    /// The directory to put it into
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    output: PathBuf,

    /// What to call the file, for a URL that does not end in a tarball's name
    #[arg(long, value_name = "FILE", value_parser = file_name)]
    name: Option<String>,

    /// Fetch the newest build that runs with this glibc [default: this machine's]
    #[arg(long, value_name = "VERSION")]
    glibc: Option<Glibc>,

    /// A mirror to ask instead of the vendors' sites: with their paths, or one directory
    #[arg(
        long,
        value_name = "URL",
        env = "REPACK_MIRROR",
        value_parser = mirror,
        hide_env_values = true
    )]
    mirror: Option<String>,

    #[arg(long, env = "http_proxy", hide = true, hide_env = true)]
    http_proxy: Option<OsString>,

    #[arg(long, env = "HTTP_PROXY", hide = true, hide_env = true)]
    http_proxy_in_capitals: Option<OsString>,

    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,

    /// Milliseconds before asking a second time; doubled before each further time
    #[arg(long, value_name = "N", default_value_t = 1000, hide = true)]
    retry_delay: u64,
}

/// Does what the command line says, and tells how to exit.
pub(crate) fn run(arguments: Fetch) -> ExitStatus {
    let mirror = arguments.mirror.filter(|mirror| !mirror.is_empty());
    let job = Job {
        wanted: arguments.wanted,
        name: arguments.name,
        directory: arguments.output,
        expected: arguments.sha256.or(arguments.md5),
        mirror: mirror.map(|mirror| mirror.trim_end_matches('/').to_owned()),
        glibc: arguments.glibc,
        http_proxy: arguments.http_proxy.or(arguments.http_proxy_in_capitals),
        delay: Duration::from_millis(arguments.retry_delay),
    };
    match fetch(&job, &mut io::stderr()) {
        Ok(fetched) => {
            let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
            let _ = if arguments.json {
                writeln!(stdout, "{}", fetched.json())
            } else {
                write!(stderr, "{}", fetched.table()).and_then(|()| {
                    stdout.write_all(fetched.file.as_os_str().as_bytes())?;
                    stdout.write_all(b"\n")
                })
            };
            let _ = stdout.flush();
            ExitStatus::Ok
        }
        Err(error) => render("repack", &error, &mut io::stderr()),
    }
}

//! The lowest layer: libc and what else the service needs of Debian, by an apt of our own, whose lists and
//! empty package database are in the state directory. From this machine come its mirror and proxy, nothing
//! of its files.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use hook::{CommandError, hexadecimal};
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};
use thiserror::Error;

use super::layer::{Layer, LayerWriter, Rights};
use super::plan::{Plan, Settings};
use crate::host::files::{self, FileError};
use crate::state::snapshot::Hashing;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Not needed to run anything; the licences in /usr/share/doc are kept.
const LEFT_OUT: [&str; 6] = [
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/gdb",
];

/// apt's configuration: everything of its own below `dir`.
const CONFIGURATION: &str = r#"Dir::State "@";
Dir::State::status "@/status";
Dir::Cache "@";
Dir::Log "@";
Dir::Etc "@";
Dir::Etc::main "none.conf";
Dir::Etc::parts "conf.d";
Dir::Etc::sourcelist "sources.list";
Dir::Etc::sourceparts "conf.d";
Dir::Etc::preferences "none";
Dir::Etc::preferencesparts "conf.d";
Dir::Etc::trusted "none.gpg";
Dir::Etc::trustedparts "conf.d";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
"#;

/// A package that is here and is what the signed index says.
#[derive(Debug)]
struct Package {
    file: PathBuf,
    sha256: String,
}

/// What apt believes to be there: nothing is installed in a container, though packages depend on the means.
const NO_INSTALLER: &str = "Package: dpkg
Status: install ok installed
Architecture: all
Version: 999
Maintainer: nobody
Description: none

";

/// The layer with the packages of `plan` and all they depend on; what is fetched is kept in `dir`.
pub(crate) fn layer(dir: &Path, plan: &Plan) -> Result<Layer, BaseError> {
    let packages = &plan.packages;
    let debs = dir.join("debs");
    for path in ["lists/partial", "archives/partial", "conf.d", "debs"] {
        files::create_directory(&dir.join(path), 0o700)?;
    }
    configure(dir, packages)?;
    run(apt(dir).arg("update"))?;
    let all = resolve(dir, packages)?;
    let missing: Vec<&Package> = all
        .iter()
        .filter(|package| !is_whole(&debs, package))
        .collect();
    if !missing.is_empty() {
        let mut download = apt(dir);
        download.current_dir(&debs).arg("download");
        for package in &missing {
            // apt keeps a damaged one of the right size.
            files::remove(&debs.join(&package.file))?;
            let name = package.file.to_string_lossy();
            download.arg(name.split('_').next().unwrap_or_default());
        }
        run(&mut download)?;
    }
    if let Some(package) = all.iter().find(|package| !is_whole(&debs, package)) {
        return Err(BaseError::Damaged {
            path: debs.join(&package.file),
        });
    }
    let write = || -> io::Result<Layer> {
        let mut layer = LayerWriter::new()?;
        for package in &all {
            add(&mut layer, &debs.join(&package.file), &plan.settings)?;
        }
        let rights = Rights {
            mode: 0o1777,
            ..ROOT
        };
        layer.directory(Path::new("tmp"), rights)?;
        layer.finish("the base")
    };
    write().map_err(|source| BaseError::Unpack { path: debs, source })
}

/// The layer with the root file system in `archive`, a tarball, plain or gzip.
pub(crate) fn of_file(archive: &Path) -> Result<Layer, BaseError> {
    let write = || -> io::Result<Layer> {
        let mut layer = LayerWriter::new()?;
        let mut magic = [0; 2];
        File::open(archive)?.read_exact(&mut magic)?;
        let file = BufReader::new(File::open(archive)?);
        if magic == [0x1f, 0x8b] {
            add_entries(
                &mut layer,
                flate2::bufread::MultiGzDecoder::new(file),
                &|_| true,
            )?;
        } else {
            add_entries(&mut layer, file, &|_| true)?;
        }
        layer.finish("the base")
    };
    write().map_err(|source| BaseError::Unpack {
        path: archive.to_owned(),
        source,
    })
}

fn configure(dir: &Path, packages: &[String]) -> Result<(), BaseError> {
    let output = run(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    ]))?;
    let own = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let own = own.unwrap_or_default().trim_matches('"').to_owned();
    let mut lines: Vec<String> = output
        .lines()
        .filter_map(|line| {
            let [uri, release, "main"] = line.split(' ').collect::<Vec<_>>()[..] else {
                return None;
            };
            let known = ["", "-updates", "-security"].map(|kind| format!("{own}{kind}"));
            let line = format!("deb [signed-by={KEYRING}] {uri} {release} main\n");
            known.contains(&release.to_owned()).then_some(line)
        })
        .collect();
    lines.sort();
    lines.dedup();
    if own.is_empty() || lines.is_empty() {
        return Err(BaseError::NoMirror);
    }
    let mut configuration = CONFIGURATION.replace('@', &dir.display().to_string());
    let machine = run(Command::new("apt-config").arg("dump"))?;
    for line in machine.lines() {
        if line.starts_with("Acquire::http") || line.starts_with("Acquire::Retries") {
            let _ = writeln!(configuration, "{line}");
        }
    }
    files::replace(&dir.join("sources.list"), lines.concat().as_bytes(), 0o600)?;
    let wants_dpkg = packages.iter().any(|name| name == "dpkg");
    let status = if wants_dpkg { "" } else { NO_INSTALLER };
    files::replace(&dir.join("status"), status.as_bytes(), 0o600)?;
    files::replace(&dir.join("apt.conf"), configuration.as_bytes(), 0o600)?;
    Ok(())
}

fn apt(dir: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.env("APT_CONFIG", dir.join("apt.conf")).arg("-qq");
    command
}

/// What apt would install into an empty system, sorted.
fn resolve(dir: &Path, packages: &[String]) -> Result<Vec<Package>, BaseError> {
    let plan = run(apt(dir)
        .args(["--yes", "--print-uris", "install"])
        .args(packages))?;
    let mut all = Vec::new();
    for line in plan.lines().filter(|line| line.starts_with('\'')) {
        let [_, file, _, hash] = line.split(' ').collect::<Vec<_>>()[..] else {
            continue;
        };
        let Some(sha256) = hash.strip_prefix("SHA256:") else {
            return Err(BaseError::NoDigest {
                package: file.to_owned(),
            });
        };
        all.push(Package {
            file: Path::new(file).file_name().unwrap_or_default().into(),
            sha256: sha256.to_owned(),
        });
    }
    all.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(all)
}

fn is_whole(debs: &Path, package: &Package) -> bool {
    let mut digest = Sha256::new();
    let read = File::open(debs.join(&package.file))
        .and_then(|mut file| io::copy(&mut file, &mut Hashing(&mut digest)));
    read.is_ok() && hexadecimal(&digest.finalize()) == package.sha256
}

const ROOT: Rights = Rights {
    uid: 0,
    gid: 0,
    mode: 0o755,
};

/// Its files, and its description where scanners of images look for it.
fn add(layer: &mut LayerWriter, deb: &Path, settings: &Settings) -> io::Result<()> {
    let mut command = Command::new("dpkg-deb");
    command
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut unpacking = command.spawn()?;
    if let Some(tar) = unpacking.stdout.take() {
        add_entries(layer, BufReader::new(tar), &|path| {
            is_kept(path) && !settings.leaves_out_of_base(path)
        })?;
    }
    if !unpacking.wait()?.success() {
        return Err(io::Error::other(format!(
            "dpkg-deb fails of {}",
            deb.display()
        )));
    }
    let field = hook::run(Command::new("dpkg-deb").arg("--field").arg(deb), b"");
    let field = field.map_err(io::Error::other)?;
    let description = field.stdout;
    let text = String::from_utf8_lossy(&description).into_owned();
    let name = text.lines().find_map(|line| line.strip_prefix("Package: "));
    let directory = Path::new("var/lib/dpkg/status.d");
    for path in ["var", "var/lib", "var/lib/dpkg", "var/lib/dpkg/status.d"] {
        layer.directory(Path::new(path), ROOT)?;
    }
    let rights = Rights {
        mode: 0o644,
        ..ROOT
    };
    let path = directory.join(name.unwrap_or_default());
    layer.file(&path, rights, description.len() as u64, &description[..])
}

fn is_kept(path: &Path) -> bool {
    let documents = path.starts_with("usr/share/doc") && !path.ends_with("copyright");
    !documents && !LEFT_OUT.iter().any(|left_out| path.starts_with(left_out))
}

fn add_entries(
    layer: &mut LayerWriter,
    tar: impl Read,
    is_kept: &dyn Fn(&Path) -> bool,
) -> io::Result<()> {
    let mut archive = Archive::new(tar);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path: PathBuf = entry
            .path()?
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect();
        let header = entry.header();
        let rights = Rights {
            uid: header.uid()?,
            gid: header.gid()?,
            // What lends its owner's rights has no use in a container of one user.
            mode: header.mode()? & 0o1777,
        };
        let kind = header.entry_type();
        let directory = kind == EntryType::Directory;
        // A directory may hold what is kept, as that of a package's licence does.
        let is_kept = if directory {
            is_kept(&path.join("copyright"))
        } else {
            is_kept(&path)
        };
        if !is_kept {
            continue;
        }
        let link = entry.link_name()?.map(std::borrow::Cow::into_owned);
        match (kind, link) {
            (EntryType::Directory, _) => layer.directory(&path, rights)?,
            (EntryType::Symlink, Some(to)) => layer.symlink(&path, rights, &to)?,
            (EntryType::Link, Some(first)) => {
                let first: PathBuf = first
                    .components()
                    .filter(|part| matches!(part, Component::Normal(_)))
                    .collect();
                layer.hard_link(&path, rights, &first)?;
            }
            (EntryType::Regular, _) => {
                let size = entry.size();
                layer.file(&path, rights, size, &mut entry)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<String, CommandError> {
    command
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive");
    let finished = hook::run(command, b"")?;
    Ok(String::from_utf8_lossy(&finished.stdout).into_owned())
}

/// There is no base.
#[derive(Debug, Error)]
pub(crate) enum BaseError {
    #[error("apt on this machine names no mirror of its own Debian release")]
    NoMirror,
    #[error("apt cannot bring together the packages of the base")]
    Apt(#[from] CommandError),
    #[error("the package index has no SHA-256 for {package}")]
    NoDigest { package: String },
    #[error("{path} is not what the signed package index says", path = path.display())]
    Damaged { path: PathBuf },
    #[error("cannot make the base of {path}", path = path.display())]
    Unpack { path: PathBuf, source: io::Error },
    #[error(transparent)]
    File(#[from] FileError),
}

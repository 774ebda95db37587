//! `~/.my.cnf`: rendered from the user's my.cnf before anything is written, written and shown line
//! by line, checked by the server itself. Refuses a data directory that a push would lose.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, PathBuf};
use std::process::Command;

use hook::{CommandError, Report};
use mycnf::{
    Accepted, COMMAND_LINE, Flavour, IncludeError, Layout, MemoryError, MemoryPlan, OptionFile,
    OptionFileError, Origin, Persisted, PersistedError, Place, Rendered, Resolved, Server, Version,
    WriteError, is_private_copy, lend_libraries, render_my_cnf, server_groups, write_private,
};
use thiserror::Error;

use crate::memory::MemoryOrigin;
use crate::settings::Settings;

/// The user's option file and what `settings` make of it. Writes nothing.
pub(crate) fn render(
    settings: &Settings,
    layout: &Layout,
    server: &Server,
) -> Result<(OptionFile, Rendered), RenderError> {
    let path = layout.template();
    let bytes = fs::read(&path).map_err(|source| RenderError::ReadTemplate {
        path: path.clone(),
        source,
    })?;
    let mut template = OptionFile::parse(&path, &bytes)?;
    template.add_command_line(&settings.command_line);
    let user = template.resolve(layout.home())?;
    let persisted = Persisted::read(&data_dir_of(&user, server, layout)?)?;
    let rendered = render_my_cnf(
        &template,
        &mycnf::Settings {
            layout,
            port: settings.port.number,
            flavour: server.flavour,
            version: server.version,
            bind_address: settings.bind_address.as_deref(),
            memory: settings.memory.memory,
            persisted: &persisted,
            slow_log: settings.slow_log.as_deref(),
            keeps_changes: settings.keeps_changes(),
        },
    )?;
    rendered
        .memory
        .check()
        .map_err(|error| RenderError::Memory {
            error,
            persisted: persisted_choices(&rendered),
            origin: Box::new(settings.memory.origin.clone()),
            service: settings.service.clone(),
        })?;
    Ok((template, rendered))
}

/// What is persisted of what we decide.
fn persisted_choices(rendered: &Rendered) -> Vec<&'static str> {
    let choices = rendered.choices.iter();
    let persisted = choices.filter(|choice| matches!(choice.origin, Origin::Persisted { .. }));
    persisted.map(|choice| choice.option).collect()
}

/// Puts it in place and tells what is in it and why.
pub(crate) fn write(
    rendered: &Rendered,
    settings: &Settings,
    layout: &Layout,
    report: &mut Report,
) -> Result<(), RenderError> {
    let (path, bytes) = (layout.option_file(), rendered.file.render());
    let done = if is_private_copy(&path, &bytes) {
        "kept"
    } else {
        write_private(&path, &bytes)?;
        "wrote"
    };
    report.bullet(format!(
        "{done} {}, with port {} from {}",
        path.display(),
        settings.port.number,
        settings.port.variable
    ));
    for choice in &rendered.choices {
        let origin = origin(&choice.origin, layout);
        report.sub_bullet(format!("{} = {} ({origin})", choice.option, choice.value));
    }
    for (option, place) in &rendered.overruled {
        let line = line(place, layout);
        report.sub_bullet(format!(
            "{option}: as SET PERSIST says; {line} does not count"
        ));
    }
    for skipped in &rendered.user.skipped {
        report.warning(skipped.to_string());
    }
    tell_memory(&rendered.memory, settings, report);
    Ok(())
}

fn tell_memory(plan: &MemoryPlan, settings: &Settings, report: &mut Report) {
    let input = &settings.memory;
    report.bullet(format!("memory {}", input.told()));
    report.sub_bullet(plan.sum());
    if let Some(warning) = input.warning() {
        report.warning(warning);
    }
    if let Some(needed) = plan.shortage() {
        report.warning(format!(
            "clients that use all they may have get the server killed: lower max_connections or \
             the buffers in my.cnf, or {}",
            input.origin.raise(needed, &settings.service)
        ));
    }
}

/// A line of my.cnf or of a file that it includes, as it is told.
pub(crate) fn line(place: &Place, layout: &Layout) -> String {
    if place.path.as_os_str() == COMMAND_LINE {
        return format!("argument {}", place.line);
    }
    let name = if place.path == layout.template() {
        "my.cnf".into()
    } else {
        place.path.to_string_lossy()
    };
    format!("{name} line {}", place.line)
}

fn origin(origin: &Origin, layout: &Layout) -> String {
    let line = |place| line(place, layout);
    match origin {
        Origin::Added { why }
        | Origin::Imposed {
            why,
            instead_of: None,
        } => (*why).to_owned(),
        Origin::Imposed {
            why,
            instead_of: Some(place),
        } => format!("{why}; {} does not count", line(place)),
        Origin::Persisted { path, instead_of } => {
            let path = path.display();
            let instead = instead_of.as_ref().map(&line);
            let instead = instead.map_or(String::new(), |line| format!("; {line} does not count"));
            format!("by SET PERSIST, from {path}{instead}")
        }
        Origin::Kept { place } => format!("from {}", line(place)),
    }
}

/// Asks the server itself, where it can tell without starting (8.0.16, manual 8.0 section 7.1.3):
/// an option it does not know would stop it after everything else is done. Once is enough.
pub(crate) fn validate(
    rendered: &Rendered,
    layout: &Layout,
    server: &Server,
) -> Result<(), RenderError> {
    if server.flavour == Flavour::MariaDb || server.version < Version::new(8, 0, 16) {
        return Ok(());
    }
    let accepted = Accepted::of(&rendered.file, layout, server);
    if accepted.as_ref().is_some_and(Accepted::is_recorded) {
        return Ok(());
    }
    let mut command = server_command(layout, server);
    command
        .env_clear()
        .env("HOME", layout.home())
        .arg("--validate-config");
    lend_libraries(&mut command, None);
    match hook::run(&mut command, b"") {
        Ok(_) => Ok(accepted.map_or(Ok(()), |accepted| accepted.record())?),
        // A server that cannot be run has no opinion; whoever needs it next will tell.
        Err(CommandError::Start { .. }) => Ok(()),
        Err(source) => Err(RenderError::ValidateConfig { source }),
    }
}

/// The server with the rendered option file as its first argument.
#[must_use]
pub fn server_command(layout: &Layout, server: &Server) -> Command {
    let mut option_file = OsString::from("--defaults-file=");
    option_file.push(layout.option_file());
    let mut command = Command::new(&server.executable);
    command.arg(option_file).current_dir(layout.home());
    command
}

/// Where the option file puts the data directory. Anywhere but below `~/data` it would be
/// lost at the next push.
pub(crate) fn data_dir(
    rendered: &Rendered,
    server: &Server,
    layout: &Layout,
) -> Result<PathBuf, RenderError> {
    data_dir_of(&rendered.user, server, layout)
}

fn data_dir_of(user: &Resolved, server: &Server, layout: &Layout) -> Result<PathBuf, RenderError> {
    let groups = server_groups(server.flavour, server.version);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let value = user.get(&groups, "datadir").and_then(|found| found.value);
    let Some(value) = value else {
        return Ok(layout.data_dir());
    };
    // The servers do not expand a tilde here.
    let path = PathBuf::from(OsStr::from_bytes(&value));
    let normal = path.components().all(|c| c != Component::ParentDir);
    if normal && path.starts_with(layout.data()) && path != layout.data() {
        Ok(path)
    } else {
        Err(RenderError::DataDirOutside {
            path,
            data: layout.data(),
        })
    }
}

/// The option file cannot be used.
#[derive(Debug, Error)]
pub enum RenderError {
    /// The user's option file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    ReadTemplate {
        /// The template.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The user's option file is not one.
    #[error(transparent)]
    OptionFile(#[from] OptionFileError),
    /// What it includes cannot be followed.
    #[error(transparent)]
    Include(#[from] IncludeError),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The server refuses it.
    #[error("the server does not accept the option file")]
    ValidateConfig {
        /// What it said.
        source: CommandError,
    },
    /// What `SET PERSIST` wrote.
    #[error(transparent)]
    Persisted(#[from] PersistedError),
    /// The kernel would kill the server.
    #[error("{error}, {origin}")]
    Memory {
        /// The options that my.cnf cannot change.
        persisted: Vec<&'static str>,
        /// How much is missing.
        error: MemoryError,
        /// Who says how much there is.
        origin: Box<MemoryOrigin>,
        /// What the platform calls the service.
        service: String,
    },
    /// my.cnf puts the data where a push loses it.
    #[error("datadir is {path}, which is not below {data}", path = path.display(), data = data.display())]
    DataDirOutside {
        /// As my.cnf says.
        path: PathBuf,
        /// The directory that survives a push.
        data: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mycnf::{Memory, Persisted};

    use super::*;

    fn rendered(text: &str) -> Rendered {
        let file = OptionFile::parse(Path::new("/h/.my.cnf"), text.as_bytes()).unwrap();
        let settings = mycnf::Settings {
            layout: &Layout::new("/h"),
            port: 1,
            flavour: Flavour::MySql,
            version: Version::new(9, 7, 4),
            bind_address: None,
            memory: Memory::LEAST,
            persisted: &Persisted::default(),
            slow_log: None,
            keeps_changes: false,
        };
        render_my_cnf(&file, &settings).unwrap()
    }

    fn server() -> Server {
        Server {
            basedir: "/h/mysql/install".into(),
            executable: "/h/mysql/install/bin/mysqld".into(),
            flavour: Flavour::MySql,
            version: Version::new(9, 7, 4),
        }
    }

    #[test]
    fn data_dir_only_below_data() {
        let layout = Layout::new("/h");
        let find = |text: &str| data_dir(&rendered(text), &server(), &layout);
        assert_eq!(find("[mysqld]\n").unwrap(), Path::new("/h/data/mysqldb"));
        assert_eq!(
            find("[mysqld]\ndatadir = /h/data/other\n").unwrap(),
            Path::new("/h/data/other")
        );
        for value in [
            "/h/mysql/data",
            "/h/data",
            "data/x",
            "~/data/x",
            "/h/data/../x",
        ] {
            assert_eq!(
                find(&format!("[mysqld]\ndatadir={value}\n"))
                    .unwrap_err()
                    .to_string(),
                format!("datadir is {value}, which is not below /h/data")
            );
        }
    }

    #[test]
    fn origin_line_is_told_with_its_file() {
        let layout = Layout::new("/h");
        let kept = |path: &Path| Origin::Kept {
            place: Place {
                path: path.to_owned(),
                line: 3,
            },
        };
        let told = |path: &Path| origin(&kept(path), &layout);
        assert_eq!(told(&layout.template()), "from my.cnf line 3");
        assert_eq!(told(Path::new("/x/a.cnf")), "from /x/a.cnf line 3");
        assert_eq!(told(Path::new(COMMAND_LINE)), "from argument 3");
    }

    #[test]
    fn server_command_option_file_comes_first() {
        let command = server_command(&Layout::new("/h"), &server());
        assert_eq!(command.get_program(), "/h/mysql/install/bin/mysqld");
        assert_eq!(
            command.get_args().collect::<Vec<_>>(),
            ["--defaults-file=/h/.my.cnf"]
        );
    }
}

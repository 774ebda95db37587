//! The one pass: every entry is read once, judged, and copied or left out. Memory holds names
//! only. Symbolic links are written last, when it is known what became of their targets; that
//! also means that no entry is ever unpacked through a link.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use hook::Executable;
use judge::Contents;
use mycnf::SERVER_EXECUTABLES;
use tar::{Builder, EntryType, Header};

use crate::archive::{Archive, ArchiveError, Entry};
use crate::check::{Check, Needed};
use crate::content::{Executables, copy, read_executable};
use crate::entry::{described, header_like, link_target, shown};
use crate::name::Name;
use crate::needs::Needs;
use crate::prune::{Pruner, Verdict};
use crate::refusal::{Failure, Refusal, StreamError, unreadable_archive};
use crate::rules::Category;
use crate::strip::MAGIC;
use crate::summary::Tally;
use crate::tree::{Kind, LeadsOut, Tree, TreeError, View};

const BLOCK: usize = 512;

/// Copies the archive `input` to `out` without what `pruner` drops, and checks the result.
/// The paths are for messages.
pub(crate) fn prune_stream<R: Read, W: Write>(
    (input_path, input): (&Path, R),
    (output_path, out): (&Path, W),
    pruner: &mut Pruner,
    executables: Executables<'_>,
) -> Result<(Tally, W), StreamError> {
    let mut pass = Pass {
        out: Builder::new(out),
        pruner,
        executables,
        needed: Vec::new(),
        top: None,
        tree: Tree::default(),
        links: Vec::new(),
        tally: Tally::default(),
        contents: Contents::default(),
        buffer: vec![0; 128 << 10],
    };
    let explain = |started: bool, (entry, failure): (Vec<u8>, Failure)| match failure {
        Failure::Refused(refusal) => StreamError::Refused {
            path: input_path.into(),
            entry: shown(&entry),
            refusal,
        },
        Failure::Read(error) => unreadable_archive(input_path, started, error),
        Failure::Write(source) => StreamError::Write {
            path: output_path.into(),
            source,
        },
    };
    let ran = pass.run(Archive::new(input));
    let no_server = pass.contents.verdict(input_path);
    if let (Err((_, Failure::Refused(refusal))), Some(verdict)) = (&ran, &no_server)
        && refusal.is_of_the_whole()
    {
        return Err(verdict.clone().into());
    }
    ran.map_err(|failed| explain(pass.top.is_some(), failed))?;
    if pass.top.is_none() {
        return Err(StreamError::NoEntries {
            path: input_path.into(),
        });
    }
    if let Some(foreign) = pass.contents.other_system(input_path) {
        return Err(foreign.into());
    }
    let check = Check {
        path: input_path,
        tree: &pass.tree,
        pruner: pass.pruner,
    };
    pass.tally.unknown = check.run(&pass.needed).map_err(|error| match error {
        StreamError::NoServer(unknown) => no_server.unwrap_or(unknown).into(),
        error => error,
    })?;
    pass.tally.other_machine = pass.contents.other_machine();
    let out = pass.out.into_inner();
    let out = out.map_err(|source| explain(true, (Vec::new(), Failure::Write(source))))?;
    Ok((pass.tally, out))
}

struct Pass<'a, W: Write> {
    out: Builder<W>,
    pruner: &'a mut Pruner,
    executables: Executables<'a>,
    needed: Vec<Needed>,
    /// The one directory everything is in; known from the first entry on.
    top: Option<OsString>,
    tree: Tree,
    links: Vec<Link>,
    tally: Tally,
    /// For what the archive is if it holds no server.
    contents: Contents,
    buffer: Vec<u8>,
}

/// A symbolic link, to be written unless its target is left out.
struct Link {
    path: PathBuf,
    target: PathBuf,
    header: Header,
}

impl<W: Write> Pass<'_, W> {
    /// Returns a failure with the name of the entry it belongs to.
    fn run(&mut self, mut archive: Archive<impl Read>) -> Result<(), (Vec<u8>, Failure)> {
        let unnamed = |failure| (Vec::new(), failure);
        while let Some(entry) = archive.next().map_err(|error| unnamed(error.into()))? {
            self.entry(&entry, &mut archive)
                .map_err(|failure| (entry.name, failure))?;
        }
        // An end of file instead of the archive's end is a cut-off, except that "nothing at all" has
        // its own message.
        if !archive.ended() && self.top.is_some() {
            return Err(unnamed(ArchiveError::CutOff.into()));
        }
        match archive.rest_is_zeros(&mut self.buffer) {
            Ok(true) => self.write_links(),
            Ok(false) => Err(unnamed(Refusal::AfterEnd.into())),
            Err(source) => Err(unnamed(ArchiveError::Read { source }.into())),
        }
    }

    fn entry(&mut self, entry: &Entry, content: &mut impl Read) -> Result<(), Failure> {
        let (raw, entry_type) = (entry.name.as_slice(), entry.header.entry_type());
        let mode = entry.header.mode().unwrap_or_default();
        self.contents
            .note(raw, entry_type.is_file().then_some(mode));
        let Some(Name { top, inner }) = Name::parse(raw)? else {
            return Ok(());
        };
        // Tarballs older than POSIX mark a directory by the slash alone.
        let directory = entry_type.is_dir() || entry_type.is_file() && raw.ends_with(b"/");
        if inner.as_os_str().is_empty() && !directory {
            return Err(Refusal::NotInDirectory.into());
        }
        let first = self.top.get_or_insert_with(|| top.clone());
        if *first != top {
            return Err(Refusal::SecondTop {
                first: shown(first.as_bytes()),
            }
            .into());
        }
        let verdict = self.pruner.decide(&inner);
        if directory {
            return self.directory(&inner, entry, verdict);
        }
        match entry_type {
            EntryType::Regular | EntryType::Continuous => {
                self.file(&inner, entry, content, verdict)
            }
            EntryType::Symlink => {
                let target = link_target(entry)?;
                self.symbolic_link(inner, target, &entry.header, verdict)
            }
            EntryType::Link => self.hard_link(inner, entry, verdict),
            _ if verdict != Verdict::Keep => self.leave_out(&inner, verdict),
            other => Err(Refusal::Special {
                what: described(other),
            }
            .into()),
        }
    }

    fn directory(&mut self, inner: &Path, entry: &Entry, verdict: Verdict) -> Result<(), Failure> {
        let kept = verdict == Verdict::Keep;
        self.tree.insert(inner, Kind::Directory, kept)?;
        if kept {
            let mut path = self.full(inner).into_os_string();
            path.push("/");
            let mut header = header_like(&entry.header, EntryType::Directory, 0)?;
            self.write_header(&mut header, path.as_ref())?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        inner: &Path,
        entry: &Entry,
        content: &mut impl Read,
        verdict: Verdict,
    ) -> Result<(), Failure> {
        let size = entry.size;
        let kept = verdict == Verdict::Keep;
        if kept && entry.sparse {
            return Err(Refusal::Special {
                what: "a sparse file",
            }
            .into());
        }
        let header = header_like(&entry.header, EntryType::Regular, size)?;
        let executable = header.mode().is_ok_and(|mode| mode & 0o111 != 0);
        self.tree.insert(inner, Kind::File { executable }, kept)?;
        if kept {
            return self.content(inner, content, header, size);
        }
        self.tally.count(verdict, size);
        Ok(())
    }

    fn symbolic_link(
        &mut self,
        inner: PathBuf,
        target: PathBuf,
        header: &Header,
        verdict: Verdict,
    ) -> Result<(), Failure> {
        let kept = verdict == Verdict::Keep;
        self.tree.insert(&inner, Kind::Link(target.clone()), kept)?;
        if kept {
            let header = header_like(header, EntryType::Symlink, 0)?;
            self.links.push(Link {
                path: inner,
                target,
                header,
            });
        } else {
            self.tally.count(verdict, 0);
        }
        Ok(())
    }

    fn hard_link(
        &mut self,
        inner: PathBuf,
        entry: &Entry,
        verdict: Verdict,
    ) -> Result<(), Failure> {
        if verdict != Verdict::Keep {
            return self.leave_out(&inner, verdict);
        }
        let target = link_target(entry)?;
        let text = || shown(target.as_os_str().as_bytes());
        let name = match Name::parse(target.as_os_str().as_bytes()) {
            Ok(Some(name)) if Some(&name.top) == self.top.as_ref() => name,
            _ => return Err(Refusal::LinkLeadsOut { target: text() }.into()),
        };
        let node = self.tree.get(&name.inner);
        let kind = match node.map(|node| (node.kind.clone(), node.kept)) {
            None | Some((Kind::Directory, _)) => {
                return Err(Refusal::HardLinkToNothing { target: text() }.into());
            }
            Some((_, false)) => {
                let target = shown(name.inner.as_os_str().as_bytes());
                let link = shown(inner.as_os_str().as_bytes());
                return Err(Refusal::HardLinkToDropped { link, target }.into());
            }
            // A second name of a symbolic link is one more symbolic link.
            Some((Kind::Link(target), true)) => {
                return self.symbolic_link(inner, target, &entry.header, verdict);
            }
            Some((kind @ Kind::File { .. }, true)) => kind,
        };
        self.tree.insert(&inner, kind, true)?;
        self.tally.keep(&inner, 0);
        let mut header = header_like(&entry.header, EntryType::Link, 0)?;
        let (path, target) = (self.full(&inner), self.full(&name.inner));
        self.out
            .append_link(&mut header, path, target)
            .map_err(Failure::Write)
    }

    fn leave_out(&mut self, inner: &Path, verdict: Verdict) -> Result<(), Failure> {
        self.tree
            .insert(inner, Kind::File { executable: false }, false)?;
        self.tally.count(verdict, 0);
        Ok(())
    }

    /// Writes the links that work, and those that never did.
    fn write_links(&mut self) -> Result<(), (Vec<u8>, Failure)> {
        for Link {
            path,
            target,
            mut header,
        } in std::mem::take(&mut self.links)
        {
            let full = self.full(&path);
            let leads_out = |LeadsOut| {
                let target = shown(target.as_os_str().as_bytes());
                let refusal = Refusal::LinkLeadsOut { target };
                (full.as_os_str().as_bytes().to_vec(), refusal.into())
            };
            let follow = |view| self.tree.follow(&path, &target, view).map_err(leads_out);
            if follow(View::Input)?.is_some() && follow(View::Result)?.is_none() {
                self.tree.forget(&path);
                self.tally.count(Verdict::Drop(Category::DeadLink), 0);
                self.tally.dead_links.push((path, target));
                continue;
            }
            self.tally.keep(&path, 0);
            self.out
                .append_link(&mut header, &full, &target)
                .map_err(|source| (Vec::new(), Failure::Write(source)))?;
        }
        Ok(())
    }

    fn full(&self, inner: &Path) -> PathBuf {
        let top = self.top.as_deref().unwrap_or(OsStr::new("."));
        Path::new(top).join(inner)
    }

    fn write_header(&mut self, header: &mut Header, path: &Path) -> Result<(), Failure> {
        self.out
            .append_data(header, path, io::empty())
            .map_err(Failure::Write)
    }

    /// The header and content of one file, stripped if it is an ELF file and that was asked for.
    fn content(
        &mut self,
        inner: &Path,
        entry: &mut impl Read,
        mut header: Header,
        size: u64,
    ) -> Result<(), Failure> {
        let path = self.full(inner);
        let mut start = Vec::new();
        let read = entry.take(Executable::START as u64).read_to_end(&mut start);
        read.map_err(|source| ArchiveError::Read { source })?;
        if let Some(name) = inner.to_str().filter(|n| SERVER_EXECUTABLES.contains(n)) {
            self.contents.note_server(name, &start);
        }
        let mut content = start.as_slice().chain(entry);
        if !start.starts_with(&MAGIC) {
            self.tally.keep(inner, size);
            self.write_header(&mut header, &path)?;
            return self.write_content(&mut content, size);
        }
        let elf = read_executable(&mut content, size, self.executables, &mut self.buffer)?;
        self.note_needs(inner, elf.needs)?;
        if let Some(reason) = elf.untouched {
            self.tally.untouched.push((inner.into(), reason));
        }
        self.tally.count_stripped(inner, size, elf.size);
        header.set_size(elf.size);
        self.write_header(&mut header, &path)?;
        self.write_content(&mut { elf.content }, elf.size)
    }

    fn note_needs(&mut self, by: &Path, needs: Needs) -> Result<(), TreeError> {
        let search: Rc<[String]> = needs.search.into();
        self.tree
            .remember(search.iter().map(|directory| directory.len() + 24).sum())?;
        for library in needs.libraries {
            self.tree
                .remember(library.len() + by.as_os_str().len() + size_of::<Needed>())?;
            self.needed.push(Needed {
                library,
                by: by.into(),
                search: Rc::clone(&search),
            });
        }
        Ok(())
    }

    /// The content of one file, and zeros up to the next block.
    fn write_content(&mut self, from: &mut impl Read, size: u64) -> Result<(), Failure> {
        copy(from, self.out.get_mut(), size, &mut self.buffer)?;
        let tail = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        let padding = &[0; BLOCK][..(BLOCK - tail) % BLOCK];
        self.out
            .get_mut()
            .write_all(padding)
            .map_err(Failure::Write)
    }
}

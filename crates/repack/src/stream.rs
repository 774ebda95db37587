//! The one pass: every entry is read once, judged, and copied or left out. Memory holds names
//! only. Symbolic links are written last, when it is known what became of their targets; that
//! also means that no entry is ever unpacked through a link.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tar::{Archive, Builder, Entry, EntryType, Header};

use crate::codec::{Inflated, Progress};
use crate::content::{copy, strip_through};
use crate::entry::{described, header_like, is_pax_sparse, link_target, shown};
use crate::name::Name;
use crate::prune::{Pruner, Verdict};
use crate::refusal::{Failure, Refusal, StreamError, unreadable};
use crate::rules::Category;
use crate::strip::MAGIC;
use crate::summary::Tally;
use crate::tree::{Kind, LeadsOut, Tree, View};

const BLOCK: usize = 512;

/// Copies the archive `input` to `out` without what `pruner` drops, and checks the result.
/// The paths are for messages. Executables are stripped if there is a directory to do it in.
pub(crate) fn prune_stream<W: Write>(
    (input_path, input): (&Path, Inflated),
    (output_path, out): (&Path, W),
    pruner: &mut Pruner,
    strip_in: Option<&Path>,
) -> Result<(Tally, W), StreamError> {
    let progress = input.progress();
    let mut pass = Pass {
        out: Builder::new(out),
        pruner,
        strip_in,
        top: None,
        tree: Tree::default(),
        links: Vec::new(),
        tally: Tally::default(),
        buffer: vec![0; 128 << 10],
    };
    let explain = |pass_started: bool, (entry, failure): (Vec<u8>, Failure)| match failure {
        Failure::Refused(refusal) => StreamError::Refused {
            path: input_path.into(),
            entry: shown(&entry),
            refusal,
        },
        Failure::Read(source) => unreadable(input_path, &progress, pass_started, source),
        Failure::Write(source) => StreamError::Write {
            path: output_path.into(),
            source,
        },
    };
    pass.run(Archive::new(input), &progress)
        .map_err(|failed| explain(pass.top.is_some(), failed))?;
    if pass.top.is_none() {
        return Err(StreamError::NoEntries {
            path: input_path.into(),
        });
    }
    if !pass.tree.has_server() {
        return Err(StreamError::NoServer {
            path: input_path.into(),
        });
    }
    let out = pass.out.into_inner();
    let out = out.map_err(|source| explain(true, (Vec::new(), Failure::Write(source))))?;
    Ok((pass.tally, out))
}

struct Pass<'a, W: Write> {
    out: Builder<W>,
    pruner: &'a mut Pruner,
    /// Where large executables wait to be stripped; `None` to strip none.
    strip_in: Option<&'a Path>,
    /// The one directory everything is in; known from the first entry on.
    top: Option<OsString>,
    tree: Tree,
    links: Vec<Link>,
    tally: Tally,
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
    fn run(
        &mut self,
        mut archive: Archive<Inflated>,
        progress: &Cell<Progress>,
    ) -> Result<(), (Vec<u8>, Failure)> {
        let unnamed = |source| (Vec::new(), Failure::Read(source));
        for entry in archive.entries().map_err(unnamed)? {
            let mut entry = entry.map_err(unnamed)?;
            let name = entry.path_bytes().into_owned();
            self.entry(&name, &mut entry)
                .map_err(|failure| (name, failure))?;
        }
        // Entries end at a block of zeros. An end of file instead is a cut-off, except that
        // "nothing at all" has its own message.
        if progress.get() == Progress::Ended && self.top.is_some() {
            return Err(unnamed(io::ErrorKind::UnexpectedEof.into()));
        }
        // Reading on to the end verifies the last checksum.
        self.rest_is_zeros(archive.into_inner())
            .map_err(|failure| (Vec::new(), failure))?;
        self.write_links()
    }

    fn rest_is_zeros(&mut self, mut rest: impl Read) -> Result<(), Failure> {
        loop {
            match rest.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(read) if self.buffer[..read].iter().all(|byte| *byte == 0) => {}
                Ok(_) => return Err(Refusal::AfterEnd.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Read(error)),
            }
        }
    }

    fn entry(&mut self, raw: &[u8], entry: &mut Entry<'_, impl Read>) -> Result<(), Failure> {
        let entry_type = entry.header().entry_type();
        if entry_type.is_pax_global_extensions() {
            return Ok(());
        }
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
            EntryType::Regular | EntryType::Continuous => self.file(&inner, entry, verdict),
            EntryType::Symlink => {
                let target = link_target(entry)?;
                self.symbolic_link(inner, target, entry.header(), verdict)
            }
            EntryType::Link => self.hard_link(inner, entry, verdict),
            _ if verdict != Verdict::Keep => self.leave_out(&inner, verdict),
            other => Err(Refusal::Special {
                what: described(other),
            }
            .into()),
        }
    }

    fn directory(
        &mut self,
        inner: &Path,
        entry: &Entry<'_, impl Read>,
        verdict: Verdict,
    ) -> Result<(), Failure> {
        let kept = verdict == Verdict::Keep;
        self.tree.insert(inner, Kind::Directory, kept)?;
        if kept {
            let mut path = self.full(inner).into_os_string();
            path.push("/");
            let mut header =
                header_like(entry.header(), EntryType::Directory, 0).map_err(Failure::Read)?;
            self.write_header(&mut header, path.as_ref())?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        inner: &Path,
        entry: &mut Entry<'_, impl Read>,
        verdict: Verdict,
    ) -> Result<(), Failure> {
        let size = entry.size();
        let kept = verdict == Verdict::Keep;
        if kept && is_pax_sparse(entry).map_err(Failure::Read)? {
            return Err(Refusal::Special {
                what: "a sparse file",
            }
            .into());
        }
        let header =
            header_like(entry.header(), EntryType::Regular, size).map_err(Failure::Read)?;
        let executable = header.mode().is_ok_and(|mode| mode & 0o111 != 0);
        self.tree.insert(inner, Kind::File { executable }, kept)?;
        if kept {
            return self.content(inner, entry, header, size);
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
            let header = header_like(header, EntryType::Symlink, 0).map_err(Failure::Read)?;
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
        entry: &Entry<'_, impl Read>,
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
                return self.symbolic_link(inner, target, entry.header(), verdict);
            }
            Some((kind @ Kind::File { .. }, true)) => kind,
        };
        self.tree.insert(&inner, kind, true)?;
        self.tally.keep(&inner, 0);
        let mut header = header_like(entry.header(), EntryType::Link, 0).map_err(Failure::Read)?;
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
        let read = entry.take(MAGIC.len() as u64).read_to_end(&mut start);
        read.map_err(Failure::Read)?;
        let mut content = start.as_slice().chain(entry);
        let Some(directory) = self.strip_in.filter(|_| start == MAGIC) else {
            self.tally.keep(inner, size);
            self.write_header(&mut header, &path)?;
            return self.write_content(&mut content, size);
        };
        let elf = strip_through(&mut content, size, directory, &mut self.buffer)?;
        if let Some(reason) = elf.untouched {
            self.tally.untouched.push((inner.into(), reason));
        }
        self.tally.count_stripped(inner, size, elf.size);
        header.set_size(elf.size);
        self.write_header(&mut header, &path)?;
        self.write_content(&mut { elf.content }, elf.size)
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

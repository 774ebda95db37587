//! Edits: each touches only its own line.

use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::name::{self, Form};
use super::parse::MAX_LINE;
use super::{Entry, IncludeKind, Line, Meaning, OptionFile, in_groups, quote};

impl OptionFile {
    /// Sets `option` in `group` to `value`.
    ///
    /// If the group sets it, the line that counts is changed in place, with a comment above it that
    /// says `why` and what it was; else the option is added below the group's last one, with `why`
    /// above it; a missing group is added at the end of the file. A line that says the same already
    /// stays as it is. Not for replacing secrets: the comment would tell the old one.
    pub fn set(&mut self, group: &str, option: &str, value: impl AsRef<[u8]>, why: &str) {
        let value = value.as_ref();
        match self.effective_line(group, option) {
            Some((at, Form::Plain)) => self.replace(at, option, value, why),
            Some((at, Form::Off | Form::On)) => {
                // `skip-port` has no place for a value; a later line overrules it.
                self.insert_option(at + 1, option, value, why);
            }
            None => {
                let at = self.end_of_group(group);
                self.insert_option(at, option, value, why);
            }
        }
    }

    /// Adds `!include path` at the end of the file.
    ///
    /// The directive has no quotes: `path` must not hold a `#` or a line break, nor start or
    /// end with a blank.
    pub fn add_include(&mut self, path: &Path, why: &str) {
        self.separate();
        let text = [b"!include ", path.as_os_str().as_bytes()].concat();
        let mut include = self.line(&text);
        include.meaning = Meaning::Include {
            kind: IncludeKind::File,
            path: path.to_owned(),
        };
        let comment = self.comment(why);
        self.lines.extend([comment, include]);
    }

    /// Sets `option` in `group` at the end of the file, whatever is set before or included there.
    pub fn set_last(&mut self, group: &str, option: &str, value: impl AsRef<[u8]>, why: &str) {
        let last_group = self
            .lines
            .iter()
            .rev()
            .find_map(|line| match &line.meaning {
                Meaning::Group(name) => Some(name),
                _ => None,
            });
        if !last_group.is_some_and(|name| super::same_group(name, group.as_bytes())) {
            self.add_group(group);
        }
        self.insert_option(self.lines.len(), option, value.as_ref(), why);
    }

    fn effective_line(&self, group: &str, option: &str) -> Option<(usize, Form)> {
        let options = self
            .numbered_entries()
            .filter_map(|(index, entry)| match entry {
                Entry::Option(found) if in_groups(&found, &[group]) => Some((index, found)),
                Entry::Option(_) | Entry::Include(_) => None,
            });
        options
            .filter_map(|(index, found)| Some((index, name::relate(&found.name, option)?)))
            .last()
    }

    fn replace(&mut self, at: usize, option: &str, value: &[u8], why: &str) {
        let Line { bytes, meaning, .. } = &mut self.lines[at];
        let Meaning::Option { name, value: range } = meaning else {
            return;
        };
        let old = range.clone().map(|range| bytes[range].to_vec());
        if old.as_deref().map(quote::decode).as_deref() == Some(value) {
            return;
        }
        let new = quote::encode(value);
        let (place, text): (Range<usize>, Vec<u8>) = match range {
            Some(range) => (range.clone(), new.clone()),
            None => (name.end..name.end, [b" = ", &new[..]].concat()),
        };
        if bytes.len() - place.len() + text.len() > MAX_LINE {
            // What follows the value is too long a comment to stay beside a longer value.
            self.insert_option(at + 1, option, value, why);
            return;
        }
        let end = place.start + text.len();
        bytes.splice(place, text);
        *range = Some(end - new.len()..end);
        let was = match &old {
            Some(old) if old.is_empty() => format!("{why} (it was empty)"),
            Some(old) => format!("{why} (it was {})", String::from_utf8_lossy(old)),
            None => format!("{why} (it had no value)"),
        };
        let comment = self.comment(&was);
        self.lines.insert(at, comment);
    }

    fn insert_option(&mut self, at: usize, option: &str, value: &[u8], why: &str) {
        let value = quote::encode(value);
        let start = option.len() + " = ".len();
        let mut line = self.line(&[option.as_bytes(), b" = ", &value].concat());
        line.meaning = Meaning::Option {
            name: 0..option.len(),
            value: Some(start..start + value.len()),
        };
        let comment = self.comment(why);
        self.end_last_line();
        self.lines.splice(at..at, [comment, line]);
    }

    /// Where to add to `group`: below its last option, so that what the user wrote above the next
    /// group stays there. The group is made if there is none.
    fn end_of_group(&mut self, group: &str) -> usize {
        let mut in_group = false;
        let mut end = None;
        for (index, line) in self.lines.iter().enumerate() {
            if let Meaning::Group(name) = &line.meaning {
                in_group = super::same_group(name, group.as_bytes());
            }
            if in_group && !matches!(line.meaning, Meaning::Nothing) {
                end = Some(index + 1);
            }
        }
        end.unwrap_or_else(|| {
            self.add_group(group);
            self.lines.len()
        })
    }

    pub(super) fn add_group(&mut self, group: &str) {
        self.separate();
        let mut header = self.line(format!("[{group}]").as_bytes());
        header.meaning = Meaning::Group(group.as_bytes().to_vec());
        self.lines.push(header);
    }

    /// A blank line before what is added at the end.
    fn separate(&mut self) {
        self.end_last_line();
        if !self.lines.is_empty() {
            let blank = self.line(b"");
            self.lines.push(blank);
        }
    }

    /// Only a file's last line can lack its terminator, and only while it is the last.
    pub(super) fn end_last_line(&mut self) {
        let terminator = self.terminator();
        if let Some(last) = self.lines.last_mut()
            && !last.bytes.ends_with(b"\n")
        {
            last.bytes.extend(terminator);
        }
    }

    fn comment(&self, text: &str) -> Line {
        // A line break would start an option, and so would the rest of a line too long to be read
        // at once: the text may quote an old value.
        let text: String = text.replace(['\n', '\r'], " ").chars().take(500).collect();
        self.line(format!("# {text}").as_bytes())
    }

    pub(super) fn line(&self, text: &[u8]) -> Line {
        Line {
            bytes: [text, self.terminator()].concat(),
            meaning: Meaning::Nothing,
            argument: None,
        }
    }

    /// As the file's first line ends.
    fn terminator(&self) -> &'static [u8] {
        match self.lines.first() {
            Some(first) if first.bytes.ends_with(b"\r\n") => b"\r\n",
            _ => b"\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> OptionFile {
        OptionFile::parse(Path::new("my.cnf"), text.as_bytes()).unwrap()
    }

    #[track_caller]
    fn assert_renders(file: &OptionFile, expected: &str) {
        assert_eq!(String::from_utf8(file.render()).unwrap(), expected);
    }

    #[test]
    fn set_existing_option_touches_its_own_line() {
        let mut file =
            file("[mysqld]\r\nport=1\r\n\tport =\t'3306'  # mine\r\n[client]\r\nport=2\r\n");
        file.set("mysqld", "port", "41000", "the platform's port");
        assert_renders(
            &file,
            "[mysqld]\r\nport=1\r\n# the platform's port (it was '3306')\r\n\
             \tport =\t41000  # mine\r\n[client]\r\nport=2\r\n",
        );
        assert_eq!(file.get(&["mysqld"], "port").unwrap().place.line, 4);
    }

    #[test]
    fn set_same_value_changes_nothing() {
        let text = "[mysqld]\nport = \"41000\"\n";
        let mut file = file(text);
        file.set("mysqld", "port", "41000", "why");
        assert_renders(&file, text);
    }

    #[test]
    fn set_bare_or_switched_off_option_gives_it_a_value() {
        let mut file = file("[mysqld]\nlog_error # here\nskip-log-bin\n");
        file.set("mysqld", "log-error", "e.log", "why");
        file.set("mysqld", "log-bin", "b", "why");
        assert_renders(
            &file,
            "[mysqld]\n# why (it had no value)\nlog_error = e.log # here\n\
             skip-log-bin\n# why\nlog-bin = b\n",
        );
        assert_eq!(
            file.get(&["mysqld"], "log_error").unwrap().value.unwrap(),
            b"e.log"
        );
        assert_eq!(
            file.get(&["mysqld"], "log_bin").unwrap().value.unwrap(),
            b"b"
        );
    }

    #[test]
    fn set_empty_value_is_filled_on_its_line() {
        let mut file = file("[mysqld]\r\nport = \r\n[client]\nport=# none\n");
        file.set("mysqld", "port", "1", "why");
        file.set("client", "port", "2", "why");
        assert_renders(
            &file,
            "[mysqld]\r\n# why (it was empty)\r\nport =1 \r\n[client]\n# why (it was empty)\r\nport=2# none\n",
        );
    }

    #[test]
    fn set_longer_value_beside_a_long_comment_goes_below() {
        let line = format!("port=1 #{}\n", "x".repeat(4080));
        let mut file = file(&format!("[mysqld]\n{line}"));
        file.set("mysqld", "port", "1234567", "why");
        assert_renders(&file, &format!("[mysqld]\n{line}# why\nport = 1234567\n"));
    }

    #[test]
    fn set_absent_option_goes_below_the_last_of_its_last_section() {
        let mut file = file("[mysqld]\na=1\n[client]\n[mysqld]\nb=2\n\n# about mysql\n[mysql]\n");
        file.set("mysqld", "port", "1", "why");
        assert_renders(
            &file,
            "[mysqld]\na=1\n[client]\n[mysqld]\nb=2\n# why\nport = 1\n\n# about mysql\n[mysql]\n",
        );
    }

    #[test]
    fn set_absent_group_is_added_at_the_end() {
        let mut file = file("[mysqld]\na=1");
        file.set("client", "socket", "/a b", "why\n[x]");
        assert_renders(
            &file,
            "[mysqld]\na=1\n\n[client]\n# why [x]\nsocket = \"/a b\"\n",
        );
    }

    #[test]
    fn set_last_goes_below_every_include() {
        let mut file = file("[mysqld]\nport=1\n[mysql]\n!include /x\n");
        file.set_last("mysqld", "port", "2", "why");
        file.set_last("mysqld", "bind-address", "::1", "why");
        assert_renders(
            &file,
            "[mysqld]\nport=1\n[mysql]\n!include /x\n\n[mysqld]\n# why\nport = 2\n# why\n\
             bind-address = ::1\n",
        );
    }

    #[test]
    fn set_last_line_without_terminator_gets_one_when_it_is_no_longer_last() {
        let mut file = file("[mysqld]\na=1");
        file.set("mysqld", "b", "2", "why");
        assert_renders(&file, "[mysqld]\na=1\n# why\nb = 2\n");
    }

    #[test]
    fn add_include_is_seen_as_an_include() {
        let mut file = OptionFile::empty(Path::new("my.cnf"));
        file.add_include(Path::new("/home/a b/x.cnf"), "why");
        assert_renders(&file, "# why\n!include /home/a b/x.cnf\n");
        let include = file.includes().next().unwrap();
        assert_eq!(
            (include.path.as_path(), include.place.line),
            (Path::new("/home/a b/x.cnf"), 2)
        );
    }
}

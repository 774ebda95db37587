//! A table's definition as MySQL up to 5.7 keeps it in its `.frm` file (described in the server's `unireg.cc` and
//! `table.cc`): the engine, and whether columns hold times as before 5.6.4.

/// What we ask of a definition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Definition {
    /// `InnoDB`; `partition` where another engine's tables are partitioned.
    pub(super) engine: String,
    /// Some column is a TIMESTAMP, TIME or DATETIME in the old format.
    pub(super) has_old_times: bool,
}

/// The part of the file that describes columns: its head, and what one column takes.
const FORM: usize = 288;
const COLUMN: usize = 17;

/// Types of columns: TIMESTAMP, TIME, DATETIME. The new formats have other numbers.
const OLD_TIMES: [u8; 3] = [7, 11, 12];

impl Definition {
    /// `None` if it is not one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let file = File(bytes);
        if !bytes.starts_with(&[0xfe, 1]) {
            return None;
        }
        Some(Self {
            engine: file.engine()?,
            has_old_times: file.has_old_times()?,
        })
    }
}

struct File<'a>(&'a [u8]);

impl File<'_> {
    fn number(&self, at: usize, length: usize) -> Option<usize> {
        let bytes = self.0.get(at..at.checked_add(length)?)?;
        let number = bytes
            .iter()
            .rev()
            .fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        usize::try_from(number).ok()
    }

    /// Behind the keys and the default values: what a FEDERATED table connects to, and then the engine.
    fn engine(&self) -> Option<String> {
        let keys = match self.number(14, 2)? {
            0xffff => self.number(47, 4)?,
            short => short,
        };
        let extra = self.number(6, 2)? + keys + self.number(16, 2)?;
        let connection = self.number(extra, 2)?;
        let engine = extra + 2 + connection;
        let length = self.number(engine, 2)?;
        let name = self.0.get(engine + 2..engine + 2 + length)?;
        String::from_utf8(name.to_vec()).ok()
    }

    fn has_old_times(&self) -> Option<bool> {
        // The place of the first and only form stands behind the names of forms.
        let form = self.number(64 + self.number(4, 2)?, 4)?;
        let count = self.number(form + 258, 2)?;
        let columns = form + FORM + self.number(form + 260, 2)?;
        (0..count).try_fold(false, |found, index| {
            let kind = self.0.get(columns + index * COLUMN + 13)?;
            Some(found || OLD_TIMES.contains(kind))
        })
    }
}

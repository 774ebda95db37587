//! Option files that nobody would write, each made from a number: the same number, the same file.

/// Bytes that mean something to the servers or to one of them, and some that do not.
const NOISE: &[u8] = b"  \t\r\x0b\x0c\xa0##;!'\"\\\\=[]abnrst-_.~/01\xc3\xe0\xe9\xff\x01";

/// A `SplitMix64`.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, index: u64) -> Self {
        Self(seed ^ index.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Up to `length` bytes without a line feed.
    pub(crate) fn noise(&mut self, length: usize) -> Vec<u8> {
        let length = self.below(length + 1);
        (0..length)
            .map(|_| NOISE[self.below(NOISE.len())])
            .collect()
    }
}

/// An option file and those it includes.
pub(crate) struct Generated {
    pub(crate) text: Vec<u8>,
    /// Name below the file's own directory, content, mode.
    pub(crate) included: Vec<(&'static str, Vec<u8>, u32)>,
}

/// A file that includes, if anything, files below `directory`, relative to home; `itself` is its own name.
pub(crate) fn option_file(random: &mut Random, directory: &str, itself: &str) -> Generated {
    let mut included = Vec::new();
    if random.one_in(2) {
        for name in [
            "a.cnf",
            "b",
            "c.ini",
            "d/1.cnf",
            "d/0.cnf",
            "d/no.ini",
            "d/e.cnf/x",
        ] {
            let mode = if random.one_in(6) { 0o666 } else { 0o600 };
            included.push((name, text(random, directory, itself), mode));
        }
    }
    Generated {
        text: text(random, directory, itself),
        included,
    }
}

fn text(random: &mut Random, directory: &str, itself: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let end = random.pick(&["\n", "\n", "\n", "\r\n", " \n", "\t\r\n"]);
    if random.one_in(300) {
        text.extend(b"\xef\xbb\xbf");
    }
    for at in 0..random.below(24) {
        let line = match random.below(500) {
            _ if at == 0 && !random.one_in(30) => group(random),
            0..100 => group(random),
            100..330 => option(random),
            330..370 => [
                random.pick(&["#", ";", " #", "\t;"]).as_bytes(),
                &random.noise(20),
            ]
            .concat(),
            370..395 => random.pick(&["", " ", "\t", "\u{b}\u{c}", "\r"]).into(),
            395..465 => directive(random, directory, itself),
            465..498 => [
                &[random.pick(&["a", "b"]).as_bytes()[0]],
                &random.noise(30)[..],
            ]
            .concat(),
            498 => random.noise(30),
            _ => malformed(random),
        };
        text.extend(line);
        text.extend(end.as_bytes());
    }
    if random.one_in(8) {
        while text.last() == Some(&b'\n') {
            text.pop();
        }
    }
    text
}

fn group(random: &mut Random) -> Vec<u8> {
    let name = random.pick(&[
        "mysqld",
        "client",
        "MySQLd",
        "x-1",
        "mysqld-9.7",
        "other",
        "a]b",
        "",
    ]);
    let before = random.pick(&["", "", "", " ", "\t"]);
    let inside = random.pick(&["", "", "", "", " ", "\t"]);
    let after = random.pick(&["", "", "", " ", "# x", "junk=1"]);
    format!("{before}[{name}{inside}]{after}").into_bytes()
}

fn option(random: &mut Random) -> Vec<u8> {
    let name = match random.below(4) {
        0 => [b"n", &random.noise(6)[..]].concat(),
        _ => random
            .pick(&[
                "port",
                "bind-address",
                "bind_address",
                "loose-skip-log-bin",
                "maximum-port",
                "skip_log_bin",
                "enable-x",
                "x y",
                "Port",
                "it's",
                "größe",
            ])
            .into(),
    };
    let equals = random
        .pick(&["", "=", " = ", "\t=", "= ", "==", " "])
        .as_bytes();
    let quote = random.pick(&["", "", "'", "\""]).as_bytes();
    let value = match random.below(4) {
        0 => random.noise(20),
        1 => random
            .pick(&[
                "a\\sb",
                "\\n\\t\\r\\b\\\\",
                "C:\\dir\\",
                "it's # this",
                "a;b",
                "\\\"",
                "\\'",
                "voilà",
                "say \"hi\" # not",
                "a#b",
                "x=y",
            ])
            .into(),
        _ => random
            .pick(&["1", "3306", "/var/lib", "512M", "utf8mb4", ""])
            .into(),
    };
    let after = random
        .pick(&["", "", "", " ", " # x", "#'", "\t"])
        .as_bytes();
    [&name, equals, quote, &value, quote, after].concat()
}

fn directive(random: &mut Random, directory: &str, itself: &str) -> Vec<u8> {
    let bang = random.pick(&["!", "!", " !", "! ", "\t!\t"]);
    let blank = random.pick(&[" ", " ", "\t", "  "]);
    let start = random.pick(&["", "", "./", "~/", "none/../", ".//"]);
    let path = match random.below(30) {
        0 => itself.to_owned(),
        1 => format!("~nobody/{directory}/a.cnf"),
        2 => format!("{start}{directory}/d/{}", "x".repeat(520)),
        3 => format!("{start}{directory}/a.cnf # not a comment for all"),
        _ => {
            let name = random.pick(&["a.cnf", "b", "c.ini", "d/1.cnf", "none.cnf", "d", "d/../b"]);
            format!("{start}{directory}/{name}")
        }
    };
    match random.below(12) {
        0..8 => format!("{bang}include{blank}{path}"),
        8..10 => {
            let name = random.pick(&["d", "d", "d", "d/", "d/e.cnf", "none"]);
            format!("{bang}includedir{blank}{directory}/{name}")
        }
        10 => format!(
            "{bang}{}",
            random.pick(&["", "included x", "INCLUDE x", "x", "include"])
        ),
        _ => format!(
            "{bang}include {}",
            random.pick(&["", " ", "'x'", "/nowhere"])
        ),
    }
    .into_bytes()
}

fn malformed(random: &mut Random) -> Vec<u8> {
    match random.below(5) {
        0 => b"[mysqld".to_vec(),
        1 => b"= 1".to_vec(),
        2 => [b"x=", &random.noise(9)[..], b"\0", &random.noise(9)].concat(),
        3 => {
            let mut long = random.noise(3).repeat(9);
            long.resize(4080 + random.below(30), b'x');
            long
        }
        _ => b"#=1".to_vec(),
    }
}

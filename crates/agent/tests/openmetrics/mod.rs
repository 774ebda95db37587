//! A strict reader of `OpenMetrics` 1.0 text, as far as gauges, infos and unknowns go: what it accepts, the
//! specification's grammar accepts.
#![allow(
    unreachable_pub,
    reason = "clippy's allowance for tests does not reach helpers"
)]

use std::collections::{BTreeMap, BTreeSet};

/// The samples by name, without labels.
pub fn parse(text: &str) -> Result<BTreeMap<String, f64>, String> {
    let Some(text) = text.strip_suffix("# EOF\n") else {
        return Err("does not end with # EOF".to_owned());
    };
    let mut samples = BTreeMap::new();
    let mut families = BTreeSet::new();
    let mut current = (String::new(), String::new(), false);
    for line in text.lines() {
        let fail = |what: &str| Err(format!("{what}: {line}"));
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else {
                return fail("no type");
            };
            if !is_name(name) || !["gauge", "info", "unknown"].contains(&kind) {
                return fail("bad type");
            }
            if !families.insert(name.to_owned()) {
                return fail("a family twice");
            }
            current = (name.to_owned(), kind.to_owned(), false);
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let name = rest.split(' ').next().unwrap_or_default();
            if name != current.0 || current.2 {
                return fail("help elsewhere");
            }
            if rest.contains('\\') || rest.contains('"') {
                return fail("help that needs escapes");
            }
        } else if line.starts_with('#') || line.is_empty() {
            return fail("no such line");
        } else {
            let (name, value) = sample(line, (&current.0, &current.1))?;
            if samples.insert(name, value).is_some() {
                return fail("a sample twice");
            }
            current.2 = true;
        }
    }
    Ok(samples)
}

/// Name and value of a sample of `family`.
fn sample(line: &str, (family, kind): (&str, &str)) -> Result<(String, f64), String> {
    let fail = |what: &str| Err(format!("{what}: {line}"));
    let Some((metric, value)) = line.rsplit_once(' ') else {
        return fail("no value");
    };
    let (name, labels) = metric
        .split_once('{')
        .map_or((metric, None), |(name, rest)| {
            (name, rest.strip_suffix('}'))
        });
    let expected = if kind == "info" {
        format!("{family}_info")
    } else {
        family.to_owned()
    };
    if name != expected || !is_name(name) {
        return fail("a sample of another family");
    }
    if metric.contains('{') && !labels.is_some_and(are_labels) {
        return fail("bad labels");
    }
    let Ok(value) = value.parse::<f64>() else {
        return fail("no number");
    };
    if kind == "info" && value.to_bits() != 1.0_f64.to_bits() {
        return fail("an info that is not 1");
    }
    Ok((name.to_owned(), value))
}

fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
    begins
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte))
}

/// `name="value",name="value"`, with three escapes in a value.
fn are_labels(text: &str) -> bool {
    let mut rest = text;
    loop {
        let Some((name, after)) = rest.split_once("=\"") else {
            return false;
        };
        let mut escaped = false;
        let end = after.char_indices().find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let Some((end, _)) = end else {
            return false;
        };
        let value = after[..end]
            .replace("\\\\", "")
            .replace("\\\"", "")
            .replace("\\n", "");
        if !is_name(name) || value.contains('\\') || value.contains('"') {
            return false;
        }
        match after[end + 1..].strip_prefix(',') {
            Some(more) => rest = more,
            None => return after.len() == end + 1,
        }
    }
}

#[test]
fn parse_takes_nothing_else() {
    let good =
        "# TYPE a gauge\n# HELP a It.\na 1\n# TYPE v info\nv_info{x=\"a\\\"\",y=\"\"} 1\n# EOF\n";
    assert_eq!(parse(good).map(|samples| samples.len()), Ok(2));
    for bad in [
        "# TYPE a gauge\na 1\n",
        "a 1\n# EOF\n",
        "# TYPE a counter\na 1\n# EOF\n",
        "# TYPE a gauge\na x\n# EOF\n",
        "# TYPE a gauge\na 1\na 2\n# EOF\n",
        "# TYPE a gauge\nb 1\n# EOF\n",
        "# TYPE a gauge\na{x=1} 1\n# EOF\n",
        "# TYPE a gauge\na{x=\"\\\"} 1\n# EOF\n",
        "# TYPE a gauge\n\na 1\n# EOF\n",
        "# TYPE v info\nv 1\n# EOF\n",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

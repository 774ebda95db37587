//! The page's HTML.

use std::fmt::{self, Write as _};

use super::treemap::{Tile, squarified};
use super::{Fate, Item, items};
use crate::summary::{Count, Summary, decimal, file_name, grouped, percent};

const START: &str = "<!doctype html>\n<!-- repack --report -->\n";

/// Whether a file that starts like this is a leftover of ours.
pub(crate) fn is_ours(start: &[u8]) -> bool {
    start.starts_with(START.as_bytes())
}

/// The whole page.
pub(crate) fn page(summary: &Summary) -> String {
    let items = items(summary);
    let mut page = START.to_owned();
    // Into a String: it cannot fail.
    let _ = write_page(&mut page, summary, &items);
    page
}

/// Text that is nothing but text, in elements and in quoted attributes.
struct Escaped<T>(T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // What turns the text around, and what is no character of HTML.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => f.write_char('\u{fffd}')?,
                c if c.is_control() => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn write_page(page: &mut String, summary: &Summary, items: &[Item]) -> fmt::Result {
    let title = Escaped(file_name(&summary.input));
    write!(
        page,
        "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}: what repack made of it</title>\n<style>\n{style}</style>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n",
        style = include_str!("report.css"),
    )?;
    facts(page, summary)?;
    let total: u64 = items.iter().map(|item| item.count.bytes).sum();
    let kept: Vec<Item> = items
        .iter()
        .filter(|item| item.fate == Fate::Kept)
        .cloned()
        .collect();
    page.push_str("<div class=\"maps\">\n");
    map(page, "Before", items, total)?;
    map(page, "After", &kept, total)?;
    page.push_str("</div>\n");
    table(page, summary, items, total)?;
    let notes = summary.notes();
    if !notes.is_empty() {
        page.push_str("<h2>Notes</h2>\n<ul class=\"notes\">\n");
        for note in notes.lines() {
            writeln!(page, "<li>{}</li>", Escaped(note.trim_start_matches("- ")))?;
        }
        page.push_str("</ul>\n");
    }
    write!(
        page,
        "<footer>repack {}. Areas and the table count bytes before compression, without \
         directories.</footer>\n</main>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// What it comes to.
fn facts(page: &mut String, summary: &Summary) -> fmt::Result {
    let output = summary
        .output
        .as_ref()
        .map(|target| file_name(target.path()));
    match output {
        Some(output) => writeln!(page, "<p class=\"lead\">became {}</p>", Escaped(output))?,
        None => writeln!(page, "<p class=\"lead\">a dry run: nothing was written</p>")?,
    }
    page.push_str("<dl class=\"facts\">\n");
    let mut fact = |name: &str, value: &str, more: &str| {
        writeln!(
            page,
            "<div><dt>{name}</dt><dd>{value} <small>{more}</small></dd></div>"
        )
    };
    fact("tarball before", &decimal(summary.input_size), "")?;
    if let Some(size) = summary.output_size {
        let share = format!("{:.1} %", percent(size, summary.input_size));
        fact("tarball after", &decimal(size), &share)?;
    }
    let tally = &summary.tally;
    let files = |count: Count| format!("in {} files", grouped(count.files));
    let left_out = tally.left_out();
    fact("kept", &decimal(tally.kept.bytes), &files(tally.kept))?;
    fact("left out", &decimal(left_out.bytes), &files(left_out))?;
    page.push_str("</dl>\n");
    Ok(())
}

/// A figure of tiles whose areas are to the scale in which `total` bytes fill the frame.
fn map(page: &mut String, name: &str, items: &[Item], total: u64) -> fmt::Result {
    let bytes: u64 = items.iter().map(|item| item.count.bytes).sum();
    let side = (percent(bytes, total) / 100.0).sqrt() * 100.0;
    writeln!(
        page,
        "<figure>\n<figcaption><b>{name}</b> <span>{size}</span></figcaption>\n\
         <div class=\"frame\">\n<div class=\"hint\">Point at a tile, or go to it with Tab.</div>\n\
         <ul class=\"map\" aria-label=\"{name}: {size}; the table below has the same numbers\" \
         style=\"width:{side:.3}%;height:{side:.3}%\">",
        size = decimal(bytes),
    )?;
    for (item, tile) in tiles(items) {
        let text = Escaped(described(item, total)).to_string();
        writeln!(
            page,
            "<li class=\"tile {class}\" tabindex=\"0\" aria-label=\"{text}\" \
             style=\"left:{left:.3}%;top:{top:.3}%;width:{width:.3}%;height:{height:.3}%\">\
             <span aria-hidden=\"true\">{name}<i>{size}</i></span></li>\n\
             <li class=\"tip\" aria-hidden=\"true\">{text}</li>",
            class = item.fate.class(),
            left = tile.left,
            top = tile.top,
            width = tile.width,
            height = tile.height,
            name = Escaped(short(&item.name)),
            size = decimal(item.count.bytes),
        )?;
    }
    page.push_str("</ul>\n");
    if bytes < total {
        let less = decimal(total - bytes);
        writeln!(page, "<div class=\"less\">{less} less</div>")?;
    }
    page.push_str("</div>\n</figure>\n");
    Ok(())
}

/// Each item that has bytes and its tile, in percent: a part for each fate, divided in turn.
fn tiles(items: &[Item]) -> Vec<(&Item, Tile)> {
    let mut fates: Vec<(Vec<&Item>, f64)> = [Fate::Kept, Fate::Symbols, Fate::LeftOut]
        .into_iter()
        .map(|fate| {
            let of_it = |item: &&Item| item.fate == fate && item.count.bytes > 0;
            let items: Vec<&Item> = items.iter().filter(of_it).collect();
            let weight = items.iter().copied().map(weight).sum();
            (items, weight)
        })
        .filter(|(items, _)| !items.is_empty())
        .collect();
    fates.sort_by(|a, b| b.1.total_cmp(&a.1));
    let weights: Vec<f64> = fates.iter().map(|(_, weight)| *weight).collect();
    let whole = Tile {
        left: 0.0,
        top: 0.0,
        width: 100.0,
        height: 100.0,
    };
    let mut tiles = Vec::new();
    for ((items, _), part) in fates.into_iter().zip(squarified(&weights, whole)) {
        let weights: Vec<f64> = items.iter().copied().map(weight).collect();
        tiles.extend(items.into_iter().zip(squarified(&weights, part)));
    }
    tiles
}

#[expect(clippy::cast_precision_loss, reason = "an area")]
fn weight(item: &Item) -> f64 {
    item.count.bytes as f64
}

/// A file's name without its directories: a tile has little room.
fn short(name: &str) -> &str {
    match name.rsplit('/').next() {
        None | Some("*") => name,
        Some(last) => last,
    }
}

fn described(item: &Item, total: u64) -> String {
    let Item { fate, name, count } = item;
    format!(
        "{name}, {fate}: {size} in {files} files, {share:.1} % of what came",
        fate = fate.text(),
        size = decimal(count.bytes),
        files = grouped(count.files),
        share = percent(count.bytes, total),
    )
}

impl Fate {
    fn class(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Symbols => "symbols",
            Self::LeftOut => "out",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Symbols => "stripped",
            Self::LeftOut => "left out",
        }
    }
}

/// The numbers, for whoever cannot see the tiles or wants to compare.
fn table(page: &mut String, summary: &Summary, items: &[Item], total: u64) -> fmt::Result {
    page.push_str(
        "<h2>The numbers</h2>\n<table>\n<thead><tr><th scope=\"col\">what</th>\
         <th scope=\"col\">became</th><th scope=\"col\">files</th><th scope=\"col\">size</th>\
         <th scope=\"col\">share</th></tr></thead>\n",
    );
    let mut row = |class: &str, key: &str, name: &str, became: &str, count: Count| {
        writeln!(
            page,
            "<tr{class}><th scope=\"row\">{key}{name}</th><td>{became}</td>\
             <td data-files=\"{files}\">{shown_files}</td><td data-bytes=\"{bytes}\">{size}</td>\
             <td>{share:.1} %</td></tr>",
            name = Escaped(name),
            files = count.files,
            shown_files = grouped(count.files),
            bytes = count.bytes,
            size = decimal(count.bytes),
            share = percent(count.bytes, total),
        )
    };
    for item in items {
        let class = item.fate.class();
        let key = format!("<span class=\"key {class}\"></span>");
        row("", &key, &item.name, item.fate.text(), item.count)?;
    }
    let tally = &summary.tally;
    let sum = " class=\"sum\"";
    row(
        sum,
        "",
        "all that is left out",
        "left out",
        tally.left_out(),
    )?;
    row(sum, "", "all that is kept", "kept", tally.kept)?;
    page.push_str("</table>\n");
    Ok(())
}

//! Tables as the platform's client drew them.

use hook::Foreign;

/// An ASCII table; the first row is the heading.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    // As it will be shown, so that it stays aligned.
    let shown = |row: &[String; N]| row.each_ref().map(|cell| Foreign::new(cell).to_string());
    let rows: Vec<[String; N]> = rows.iter().map(shown).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let rule = widths.map(|width| "-".repeat(width + 2)).join("+");
    let mut lines = vec![format!("+{rule}+")];
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!(" {cell:width$} "))
            .collect();
        lines.push(format!("|{}|", cells.join("|")));
        if index == 0 {
            lines.push(format!("+{rule}+"));
        }
    }
    lines.push(format!("+{rule}+"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_aligned() {
        let rows = [
            ["name", "type", "containers", "memory"],
            ["testbed", "custom", "1", "N/A"],
        ]
        .map(|row| row.map(str::to_owned));
        assert_eq!(
            table(&rows),
            [
                "+---------+--------+------------+--------+",
                "| name    | type   | containers | memory |",
                "+---------+--------+------------+--------+",
                "| testbed | custom | 1          | N/A    |",
                "+---------+--------+------------+--------+",
            ]
        );
    }
}

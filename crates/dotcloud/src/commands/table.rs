//! Tables as the platform's client drew them.

/// An ASCII table; the first row is the heading.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
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

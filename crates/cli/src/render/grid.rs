//! Columns of text, aligned, the last one cut where the terminal ends.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{Color, Style};

/// Columns shown at least of the last column, however narrow the terminal.
const LAST_WIDTH_MIN: usize = 16;

/// A table whose last column is the flexible one.
#[derive(Debug)]
pub(super) struct Grid<const COLUMNS: usize> {
    titles: [&'static str; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Grid<COLUMNS> {
    /// A title that begins with `>` is that of a column aligned to the right.
    pub(super) fn new(titles: [&'static str; COLUMNS]) -> Self {
        Self { titles, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells);
    }

    /// Appends the table to `text`.
    pub(super) fn write(&self, text: &mut String, style: &Style) {
        let titles = self.titles.map(|title| title.trim_start_matches('>').to_owned());
        let mut widths = [0; COLUMNS];
        for cells in self.rows.iter().chain([&titles]) {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = cell.width().max(*width);
            }
        }
        let heading = self.line(&titles, &widths, style);
        text.push_str(&style.paint(Color::Bold, heading));
        text.push('\n');
        for cells in &self.rows {
            text.push_str(&self.line(cells, &widths, style));
            text.push('\n');
        }
    }

    fn line(&self, cells: &[String; COLUMNS], widths: &[usize; COLUMNS], style: &Style) -> String {
        let mut line = String::new();
        let mut used = 0;
        for (at, ((cell, width), title)) in cells.iter().zip(widths).zip(self.titles).enumerate() {
            let pad = " ".repeat(width - cell.width().min(*width));
            let is_last = at + 1 == COLUMNS;
            if title.starts_with('>') {
                line.push_str(&pad);
                line.push_str(cell);
            } else if is_last {
                let left = style.width.map(|all| all.saturating_sub(used).max(LAST_WIDTH_MIN));
                line.push_str(&cut(cell, left));
            } else {
                line.push_str(cell);
                line.push_str(&pad);
            }
            if !is_last {
                line.push_str("  ");
            }
            used += width + 2;
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// `text` if it fits in `width` columns, otherwise its beginning and an ellipsis.
pub(super) fn cut(text: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| text.width() > *width) else {
        return text.to_owned();
    };
    let mut shown = String::new();
    let mut used = 1; // The ellipsis.
    for char in text.chars() {
        used += char.width().unwrap_or(0);
        if used > width {
            break;
        }
        shown.push(char);
    }
    shown.push('\u{2026}');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_the_last_is_cut() {
        let mut grid = Grid::new(["TYPE", ">KEYS", "NAME"]);
        grid.row(["string".into(), "7".into(), "short".into()]);
        grid.row(["set".into(), "12345".into(), "a name too long for it".into()]);
        let mut text = String::new();
        grid.write(&mut text, &Style { width: Some(31), ..Style::PLAIN });
        let lines = [
            "TYPE     KEYS  NAME",
            "string      7  short",
            "set     12345  a name too long\u{2026}",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(cut("\u{7528}\u{6237}\u{7528}\u{6237}", Some(6)), "\u{7528}\u{6237}\u{2026}");
        assert_eq!(cut("\u{7528}\u{6237}", Some(4)), "\u{7528}\u{6237}");
        assert_eq!(cut("abc", None), "abc");
    }
}

//! The report as people read it in a terminal.

mod grid;
mod table;

use std::fmt;

use offkey_analysis::DamagedKey;
use offkey_rdb::Quoted;
use offkey_render::name::{Text, exact};

pub(crate) use self::table::table;

/// What the place that shows the text can do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Whether it is a terminal.
    pub(crate) terminal: bool,
    /// Columns it has; lines are not cut where that is unknown.
    pub(crate) width: Option<usize>,
    /// Whether colour is wanted.
    pub(crate) color: bool,
}

impl Style {
    /// A file or a pipe.
    pub(crate) const PLAIN: Self = Self { terminal: false, width: None, color: false };

    /// `text` between an escape sequence and its end, where colour is wanted.
    fn paint(&self, color: Color, text: impl fmt::Display) -> String {
        let code = match color {
            Color::Bold => 1,
            Color::Red => 31,
            Color::Green => 32,
        };
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

#[derive(Debug, Clone, Copy)]
enum Color {
    Bold,
    Red,
    Green,
}

/// One line about a damaged key: where it is and what is wrong with it.
pub(crate) fn damaged_line(damaged: &DamagedKey) -> String {
    let DamagedKey { file, db, key, key_base64, r#type, offset, reason, .. } = damaged;
    let (file, reason) = (Text(file), Text(reason));
    let key = exact(key, key_base64.as_deref());
    let key = Quoted(&key);
    format!(
        "{file}: damaged value at byte {offset}: db {db}, key {key}, {}: {reason}",
        Text(r#type)
    )
}

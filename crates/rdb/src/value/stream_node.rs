//! A stream node's listpack (`t_stream.c`): a master entry that names the usual fields,
//! then the entries.
//!
//! ```text
//! master: <alive> <deleted> <n> <field>... 0
//! entry:  <flags> <ms> <seq>   ms and seq relative to the node's id
//!         flags & 2: <value> n times, the fields are the master's
//!         else:      <n> (<field> <value>) n times
//!         <items of this entry, without this one>
//! flags & 1: the entry is deleted
//! ```

use crate::error::PackedError;
use crate::packed::{Common, Entries, Item, listpack};
use crate::source::{Fault, Source};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// What the next item of the listpack is.
#[derive(Debug, Clone, Copy)]
enum Next {
    Alive,
    Deleted,
    MasterFieldCount,
    MasterField { left: i64 },
    MasterEnd,
    Flags,
    Ms,
    Seq,
    FieldCount,
    Item { left: i64 },
    ItemCount,
}

/// Follows the items of one node.
#[derive(Debug)]
struct Node {
    next: Next,
    alive_stated: i64,
    deleted_stated: i64,
    alive: i64,
    deleted: i64,
    master_field_count: i64,
    flags: i64,
    /// Items of the current entry so far.
    item_count: i64,
}

/// Walks the listpack of one node; answers the entries alive in it.
///
/// # Errors
/// Damage of the listpack itself or of what the node's items say.
pub(super) fn walk_node<S: Source>(source: &mut S) -> Result<u64, Fault> {
    let mut node = Node {
        next: Next::Alive,
        alive_stated: 0,
        deleted_stated: 0,
        alive: 0,
        deleted: 0,
        master_field_count: 0,
        flags: 0,
        item_count: 0,
    };
    listpack::walk(source, &mut node)?;
    if !matches!(node.next, Next::Flags) {
        return Err(PackedError::new(0, "stream node ends inside an entry").into());
    }
    if (node.alive, node.deleted) != (node.alive_stated, node.deleted_stated) {
        let Node { alive, deleted, alive_stated, deleted_stated, .. } = node;
        return Err(PackedError::new(
            0,
            format!(
                "stream node states {alive_stated} entries and {deleted_stated} deleted, \
                 it holds {alive} and {deleted}"
            ),
        )
        .into());
    }
    Ok(node.alive.unsigned_abs())
}

impl Entries for &mut Node {
    #[inline]
    fn item(&mut self, item: Item<'_>) -> Result<(), &'static str> {
        self.take(item)
    }

    #[inline]
    fn common(&mut self, entry: &impl Common) -> Result<(), &'static str> {
        if let Next::Item { left } = self.next {
            self.pass_item(left);
            return Ok(());
        }
        self.take(entry.item())
    }
}

impl Node {
    /// Passes a field or value, one of `left`.
    #[inline]
    fn pass_item(&mut self, left: i64) {
        self.item_count += 1;
        self.next = self.items(left - 1);
    }

    fn take(&mut self, item: Item<'_>) -> Result<(), &'static str> {
        self.item_count += 1;
        self.next = match self.next {
            Next::Item { left } => self.items(left - 1),
            Next::Flags => {
                self.flags = int(item)?;
                self.item_count = 1;
                Next::Ms
            }
            Next::Ms => {
                int(item)?;
                Next::Seq
            }
            Next::Seq => {
                int(item)?;
                if self.flags & SAME_FIELDS == 0 {
                    Next::FieldCount
                } else {
                    self.items(self.master_field_count)
                }
            }
            Next::FieldCount => {
                let pairs = count(item)?.checked_mul(2).ok_or("a count is out of range")?;
                self.items(pairs)
            }
            Next::ItemCount => {
                if int(item)? != self.item_count - 1 {
                    return Err("a stream entry states another number of items than it has");
                }
                if self.flags & DELETED == 0 {
                    self.alive += 1;
                } else {
                    self.deleted += 1;
                }
                Next::Flags
            }
            Next::Alive => {
                self.alive_stated = count(item)?;
                Next::Deleted
            }
            Next::Deleted => {
                self.deleted_stated = count(item)?;
                Next::MasterFieldCount
            }
            Next::MasterFieldCount => {
                self.master_field_count = count(item)?;
                match self.master_field_count {
                    0 => Next::MasterEnd,
                    left => Next::MasterField { left },
                }
            }
            Next::MasterField { left } => match left - 1 {
                0 => Next::MasterEnd,
                left => Next::MasterField { left },
            },
            Next::MasterEnd => {
                if int(item)? != 0 {
                    return Err("a stream node's master entry must end with 0");
                }
                Next::Flags
            }
        };
        Ok(())
    }

    fn items(&self, count: i64) -> Next {
        if count == 0 { Next::ItemCount } else { Next::Item { left: count } }
    }
}

fn int(item: Item<'_>) -> Result<i64, &'static str> {
    item.to_int().ok_or("an integer expected")
}

fn count(item: Item<'_>) -> Result<i64, &'static str> {
    let count = int(item)?;
    if count < 0 { Err("a count cannot be negative") } else { Ok(count) }
}

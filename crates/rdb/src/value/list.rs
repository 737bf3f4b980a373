//! Lists since Redis 3.2: quicklists, nodes of packed elements.
//!
//! ```text
//! type 14: <nodes> <ziplist>...
//! type 18: <nodes> (1 <element> | 2 <listpack>)...
//! ```

use crate::block::Blocks;
use crate::entry::{Packed, Part, Visit};
use crate::error::Error;
use crate::length::Form;
use crate::value::packed_items::{Columns, Items};
use crate::value::{Value, Workspace};

/// A node that is one element, too big to be packed (`QUICKLIST_NODE_CONTAINER_PLAIN`).
const PLAIN: u64 = 1;
/// A node that is a listpack (`QUICKLIST_NODE_CONTAINER_PACKED`).
const PACKED: u64 = 2;

impl<B: Blocks, V: Visit> Value<'_, B, V> {
    pub(super) fn quicklist(&mut self) -> Result<(), Error> {
        let at = self.input.at();
        let node_count = self.input.value_count()?;
        let mut element_count = 0u64;
        for _ in 0..node_count {
            element_count += self.packed_node(Packed::Ziplist)?;
        }
        self.refuse_empty(at, element_count);
        Ok(())
    }

    pub(super) fn quicklist_2(&mut self) -> Result<(), Error> {
        let at = self.input.at();
        let node_count = self.input.value_count()?;
        let mut element_count = 0u64;
        for _ in 0..node_count {
            let container_at = self.input.at();
            match self.input.value_count()? {
                PLAIN => {
                    self.plain_node()?;
                    element_count += 1;
                }
                container => {
                    if container != PACKED {
                        self.input.note_damage(
                            container_at,
                            format!("quicklist node is of kind 1 or 2, not {container}"),
                        );
                    }
                    element_count += self.packed_node(Packed::Listpack)?;
                }
            }
        }
        self.refuse_empty(at, element_count);
        Ok(())
    }

    /// Reads one packed node; answers its elements.
    fn packed_node(&mut self, kind: Packed) -> Result<u64, Error> {
        let Workspace { scratch, unique, templates, .. } = &mut *self.workspace;
        let mut items = Items::new(self.visitor, kind, Columns::Element, unique, templates);
        self.input.blob(scratch, &mut items)?;
        Ok(items.count())
    }

    fn plain_node(&mut self) -> Result<(), Error> {
        let at = self.input.at();
        let (form, string) = self.input.str_and_form()?;
        let compressed_len = match form {
            Form::Lzf { compressed_len, .. } => Some(compressed_len),
            Form::Raw(_) | Form::Int(_) => None,
        };
        let len = string.len;
        if len == 0 {
            self.input.note_damage(at, "a quicklist's plain node cannot be empty");
        }
        self.visitor.part(Part::PlainNode { len, compressed_len });
        Ok(())
    }
}

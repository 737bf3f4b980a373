//! Module values: a sequence of marked numbers and strings that can be passed over without
//! knowing the module.
//!
//! ```text
//! <module id> (1 <signed> | 2 <unsigned> | 3 <f32> | 4 <f64> | 5 <string>)... 0
//! ```

use crate::block::Blocks;
use crate::entry::{Part, Visit};
use crate::error::{Error, ErrorKind};
use crate::input::Input;
use crate::types::ModuleId;
use crate::value::Value;

/// Marks of a module's data (`rdb.h`, `RDB_MODULE_OPCODE_*`).
const END: u64 = 0;
const SIGNED: u64 = 1;
const UNSIGNED: u64 = 2;
const FLOAT: u64 = 3;
const DOUBLE: u64 = 4;
const STRING: u64 = 5;

impl<B: Blocks, V: Visit> Value<'_, B, V> {
    pub(super) fn module(&mut self) -> Result<(), Error> {
        let id = ModuleId(self.input.count()?);
        self.module = Some(id);
        self.visitor.part(Part::Module(id));
        while op(self.input, self.visitor)? {}
        Ok(())
    }
}

/// Passes over marked data to its end mark.
pub(crate) fn skip_ops<B: Blocks>(input: &mut Input<B>) -> Result<(), Error> {
    while op(input, &mut crate::entry::Skip)? {}
    Ok(())
}

/// Reads one marked datum; false at the end mark.
fn op<B: Blocks>(input: &mut Input<B>, visitor: &mut impl Visit) -> Result<bool, Error> {
    let at = input.at();
    match input.count()? {
        END => return Ok(false),
        SIGNED | UNSIGNED => visitor.part(Part::ModuleInt(input.count()?)),
        FLOAT => visitor.part(Part::ModuleFloat(f64::from(f32::from_le_bytes(input.array()?)))),
        DOUBLE => visitor.part(Part::ModuleFloat(f64::from_le_bytes(input.array()?))),
        STRING => visitor.part(Part::ModuleString(input.str()?)),
        other => {
            return Err(Error::new(
                ErrorKind::Corrupt,
                at,
                format!("module data is marked 0 to 5, not {other}"),
            ));
        }
    }
    Ok(true)
}

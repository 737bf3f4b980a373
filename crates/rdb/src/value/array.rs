//! Arrays (Redis 8.8 on).
//!
//! ```text
//! <count> (0 | 1 <insert index>) (<index> <tag> <value>)...
//! tag: 0 string, 1 <i64>, 2 <f64>, 3 string small enough for the slot itself
//! ```

use crate::block::Blocks;
use crate::entry::{Part, Visit};
use crate::error::{Error, ErrorKind};
use crate::value::Value;

impl<B: Blocks, V: Visit> Value<'_, B, V> {
    pub(super) fn array(&mut self) -> Result<(), Error> {
        let at = self.input.at();
        let count = self.input.value_count()?;
        self.refuse_empty(at, count);
        self.visitor.part(Part::Count(count));
        let flag_at = self.input.at();
        match self.input.value_count()? {
            0 => {}
            1 => {
                self.input.value_count()?;
            }
            other => {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    flag_at,
                    format!("an array's insert mark is 0 or 1, not {other}"),
                ));
            }
        }
        for _ in 0..count {
            self.array_value()?;
        }
        Ok(())
    }

    fn array_value(&mut self) -> Result<(), Error> {
        let index = self.input.value_count()?;
        let tag_at = self.input.at();
        match self.input.value_count()? {
            0 => {
                let string = Some(self.input.str()?);
                self.visitor.part(Part::ArrayValue { index, string });
                return Ok(());
            }
            1 | 2 => {
                self.input.array::<8>()?;
            }
            3 => {
                self.input.str()?;
            }
            other => {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    tag_at,
                    format!("an array's value is marked 0 to 3, not {other}"),
                ));
            }
        }
        self.visitor.part(Part::ArrayValue { index, string: None });
        Ok(())
    }
}

//! Hashes whose fields are written one by one.
//!
//! ```text
//! type 4:          <count> (<field> <value>)...
//! Redis type 22:   <count> (<expiry, 0 = none> <field> <value>)...           7.4-rc1 alone
//! Redis type 24:   <u64 soonest expiry> <count> (<ttl> <field> <value>)...
//!                  ttl 0 = none, else expiry = soonest + ttl - 1
//! Valkey type 22:  <count> (<field> <value> <i64 expiry, -1 = none>)...
//! type 32:         <template> <value>...        fields as the template says
//! ```
//!
//! Expiries are in milliseconds since 1970, fixed-width numbers little endian.

use crate::block::Blocks;
use crate::entry::{Part, Visit};
use crate::error::{Error, ErrorKind};
use crate::length::string_at_hand;
use crate::value::weights::weight_at_hand;
use crate::value::{Value, WITH_TEXTS, insert_at_hand};

/// Latest expiry a field can have, 48 bits without the two last values
/// (`ebuckets.h`, `EB_EXPIRE_TIME_MAX`).
pub(super) const FIELD_EXPIRE_MAX_MS: u64 = 0xffff_ffff_fffd;

impl<B: Blocks, V: Visit> Value<'_, B, V> {
    pub(super) fn hash(&mut self) -> Result<(), Error> {
        self.rows(Self::pairs_at_hand, Self::field_and_value)
    }

    /// Reads pairs up to the first that is not at hand, is of an uncommon form or has a field
    /// that was there before; answers how many.
    fn pairs_at_hand(&mut self, count_max: u64) -> u64 {
        let weighed =
            self.weigh_at_hand(count_max, |rest, weights| weight_at_hand(rest, weights.value));
        if let Some(count) = weighed {
            return count;
        }
        let count_max = count_max.min(WITH_TEXTS);
        let bytes = self.input.rest();
        let (mut rest, mut count) = (bytes, 0);
        while count < count_max {
            let Some((field, after)) = string_at_hand(rest) else { break };
            let Some((value, after)) = string_at_hand(after) else { break };
            if !insert_at_hand(&mut self.workspace.unique, rest) {
                // The other way of reading finds it again.
                break;
            }
            self.visitor.pair(field, value);
            rest = after;
            count += 1;
        }
        let len = bytes.len() - rest.len();
        self.input.consume(len);
        count
    }

    pub(super) fn hash_absolute_expire(&mut self) -> Result<(), Error> {
        for _ in 0..self.row_count()? {
            let expire_at_ms = self.input.value_count()?;
            self.field_and_value()?;
            self.field_expire(expire_at_ms);
        }
        Ok(())
    }

    pub(super) fn hash_relative_expire(&mut self) -> Result<(), Error> {
        let soonest_ms = u64::from_le_bytes(self.input.array()?);
        for _ in 0..self.row_count()? {
            let ttl_ms = self.input.value_count()?;
            self.field_and_value()?;
            if let Some(after_ms) = ttl_ms.checked_sub(1) {
                self.field_expire(soonest_ms.saturating_add(after_ms));
            }
        }
        Ok(())
    }

    pub(super) fn valkey_hash_2(&mut self) -> Result<(), Error> {
        for _ in 0..self.row_count()? {
            self.field_and_value()?;
            let expire_at_ms = i64::from_le_bytes(self.input.array()?);
            self.field_expire(u64::try_from(expire_at_ms).unwrap_or(0));
        }
        Ok(())
    }

    pub(super) fn template_array(&mut self) -> Result<(), Error> {
        let at = self.input.at();
        let id = self.input.value_count()?;
        let Some(&field_count) = self.workspace.templates.get(&id) else {
            return Err(Error::new(
                ErrorKind::Corrupt,
                at,
                format!("the file defines no hash template {id}, so the value's end is not known"),
            ));
        };
        self.visitor.part(Part::Template { id });
        for _ in 0..field_count {
            let value = self.input.str()?;
            self.visitor.part(Part::Value(value));
        }
        Ok(())
    }

    fn field_and_value(&mut self) -> Result<(), Error> {
        let at = self.input.at();
        let field = self.input.str()?;
        let is_new = self.workspace.unique.insert(&field);
        self.visitor.part(Part::Field(field));
        if !is_new {
            self.input.note_damage(at, "this field stands in the value before");
        }
        let value = self.input.str()?;
        self.visitor.part(Part::Value(value));
        Ok(())
    }

    fn field_expire(&mut self, at_ms: u64) {
        if at_ms > FIELD_EXPIRE_MAX_MS {
            self.input
                .note_damage(self.input.at(), format!("field expiry {at_ms} is out of range"));
        }
        if at_ms > 0 {
            self.visitor.part(Part::FieldExpire(at_ms));
        }
    }
}

//! A whole file: header, records, end and checksum.

use std::io::{self, Write};

use crate::crc64::crc64_after;
use crate::encoder::Encoder;
use crate::value::Value;

/// An RDB file under construction.
#[derive(Debug, Clone)]
pub struct RdbFile {
    /// What was not written out yet.
    out: Encoder,
    /// Bytes written out, and their checksum.
    written: (usize, u64),
    has_checksum: bool,
}

const HASH_TEMPLATE: u8 = 242;
const KEY_META_OR_SLOT_IMPORT: u8 = 243;
const SLOT_INFO: u8 = 244;
const FUNCTION2: u8 = 245;
const FUNCTION_PRE_GA: u8 = 246;
const MODULE_AUX: u8 = 247;
const IDLE: u8 = 248;
const FREQ: u8 = 249;
const AUX: u8 = 250;
const RESIZEDB: u8 = 251;
const EXPIRETIME_MS: u8 = 252;
const EXPIRETIME: u8 = 253;
const SELECTDB: u8 = 254;
const EOF: u8 = 255;

impl RdbFile {
    /// Begins a file with the magic of Redis.
    pub fn redis(version: u16) -> Self {
        Self::new(&format!("REDIS{version:04}"), version >= 5)
    }

    /// Begins a file with the magic of Valkey 9.
    pub fn valkey(version: u16) -> Self {
        Self::new(&format!("VALKEY{version:03}"), true)
    }

    fn new(magic: &str, has_checksum: bool) -> Self {
        Self { out: Encoder(magic.as_bytes().to_vec()), written: (0, 0), has_checksum }
    }

    /// Bytes written so far.
    #[expect(clippy::len_without_is_empty, reason = "a file has a header")]
    pub fn len(&self) -> usize {
        self.written.0 + self.out.0.len()
    }

    /// Hands the bytes so far to `out` and forgets them, so that a file may be larger than
    /// memory; what [`RdbFile::finish`] answers then follows them.
    ///
    /// # Errors
    /// That of `out`.
    pub fn write_out(&mut self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.out.0)?;
        let (len, checksum) = self.written;
        self.written = (len + self.out.0.len(), crc64_after(checksum, &self.out.0));
        self.out.0.clear();
        Ok(())
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.out.raw(bytes);
        self
    }

    /// Appends a fact about the server.
    pub fn aux(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        self.out.raw([AUX]).string(name).string(value);
        self
    }

    /// Selects the database of the keys that follow.
    pub fn select_db(&mut self, db: u64) -> &mut Self {
        self.out.raw([SELECTDB]).len(db);
        self
    }

    /// Appends the sizes of a database's tables.
    pub fn resize_db(&mut self, key_count: u64, expire_count: u64) -> &mut Self {
        self.out.raw([RESIZEDB]).len(key_count).len(expire_count);
        self
    }

    /// Appends the sizes of a slot's tables.
    pub fn slot_info(&mut self, slot: u64, key_count: u64, expire_count: u64) -> &mut Self {
        self.out.raw([SLOT_INFO]).len(slot).len(key_count).len(expire_count);
        self
    }

    /// Gives the next key an expiry in seconds, as Redis to 2.4 did.
    pub fn expire_at_seconds(&mut self, at: i32) -> &mut Self {
        self.out.raw([EXPIRETIME]).raw(at.to_le_bytes());
        self
    }

    /// Gives the next key an expiry in milliseconds.
    pub fn expire_at_ms(&mut self, at: i64) -> &mut Self {
        self.out.raw([EXPIRETIME_MS]).raw(at.to_le_bytes());
        self
    }

    /// Gives the next key seconds since its last access.
    pub fn idle(&mut self, seconds: u64) -> &mut Self {
        self.out.raw([IDLE]).len(seconds);
        self
    }

    /// Gives the next key an access counter.
    pub fn freq(&mut self, counter: u8) -> &mut Self {
        self.out.raw([FREQ, counter]);
        self
    }

    /// Appends a function library.
    pub fn function(&mut self, code: &str) -> &mut Self {
        self.out.raw([FUNCTION2]).string(code);
        self
    }

    /// Appends a function library as 7.0-rc1 did.
    pub fn function_pre_ga(
        &mut self,
        name: &str,
        description: Option<&str>,
        code: &str,
    ) -> &mut Self {
        self.out.raw([FUNCTION_PRE_GA]).string(name).string("LUA");
        match description {
            Some(text) => self.out.len(1).string(text),
            None => self.out.len(0),
        };
        self.out.string(code);
        self
    }

    /// Appends what a module keeps beside the keys.
    pub fn module_aux(&mut self, name: &str, version: u64, data: &[u8]) -> &mut Self {
        const UINT: u64 = 2;
        const BEFORE_KEYS: u64 = 1;
        self.out.raw([MODULE_AUX]).len(module_id(name, version));
        self.out.len(UINT).len(BEFORE_KEYS).raw(data);
        self
    }

    /// Gives the next key metadata of some classes (Redis); comes right before the key.
    pub fn key_meta(&mut self, classes: &[(u32, &[u8])]) -> &mut Self {
        self.out.raw([KEY_META_OR_SLOT_IMPORT]).len(classes.len());
        for (class, data) in classes {
            self.out.raw(class.to_le_bytes()).raw(data);
        }
        self
    }

    /// Appends a slot migration in progress (Valkey).
    pub fn slot_import(&mut self, job: &str, ranges: &[(u64, u64)]) -> &mut Self {
        assert_eq!(job.len(), 40, "the name of a job has forty characters");
        self.out.raw([KEY_META_OR_SLOT_IMPORT]).string(job).len(ranges.len());
        for (first, last) in ranges {
            self.out.len(*first).len(*last);
        }
        self
    }

    /// Appends the field names of a template.
    pub fn hash_template<T: AsRef<[u8]>>(&mut self, id: u64, fields: &[T]) -> &mut Self {
        self.out.raw([HASH_TEMPLATE]).len(id).strings(fields);
        self
    }

    /// Appends a key and its value.
    pub fn key(&mut self, name: impl AsRef<[u8]>, value: &Value) -> &mut Self {
        self.out.raw([value.type_byte]).string(name).raw(&value.bytes);
        self
    }

    /// Ends the file, with a checksum if its version has one.
    pub fn finish(&mut self) -> Vec<u8> {
        self.out.raw([EOF]);
        if self.has_checksum {
            let checksum = crc64_after(self.written.1, &self.out.0);
            self.out.raw(checksum.to_le_bytes());
        }
        std::mem::take(&mut self.out.0)
    }

    /// Ends the file as a server with `rdbchecksum no` does.
    pub fn finish_without_checksum(&mut self) -> Vec<u8> {
        self.out.raw([EOF]).raw([0; 8]);
        std::mem::take(&mut self.out.0)
    }
}

/// The number of a module's type: nine characters of six bits and ten bits of version.
pub fn module_id(name: &str, version: u64) -> u64 {
    const CHARS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_eq!(name.len(), 9, "the name of a module's type has nine characters");
    let digits = name.chars().map(|c| CHARS.find(c).unwrap() as u64);
    digits.fold(0, |id, digit| id << 6 | digit) << 10 | version
}

//! What no analysis of a file can do without, as fast as it can be done: `yardstick FILE` reads
//! a file, computes its checksum and walks over its keys with the least job that deserves the
//! name: a table of prefixes, totals per type and the hundred largest values by their length in
//! the file.
//!
//! It trusts the file and a hash of 64 bits, knows the types that `workload` writes, holds the
//! whole file in memory and is no example of style.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a tool for whoever measures"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::{env, fs};

use crc_fast::{CrcAlgorithm, Digest};

fn main() {
    let bytes = fs::read(env::args().nth(1).unwrap()).unwrap();
    let (body, sum) = bytes.split_at(bytes.len() - 8);
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc64Redis, 0);
    digest.update(body);
    let is_right = digest.finalize() == u64::from_le_bytes(sum.try_into().unwrap());
    let mut walk = Walk { bytes: &bytes, at: 9 };
    let mut job = Job::new();
    while let Some((type_byte, name)) = walk.key() {
        let start = walk.at;
        walk.value(type_byte);
        job.take(type_byte, name, (walk.at - start) as u64);
    }
    let keys: u64 = job.types.iter().map(|(keys, _)| keys).sum();
    println!("{keys} keys, {} prefixes, checksum right: {is_right}", job.used);
}

struct Walk<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Walk<'b> {
    fn byte(&mut self) -> u8 {
        self.at += 1;
        self.bytes[self.at - 1]
    }

    /// A length, or what stands in its place before an integer or a compressed string.
    fn len(&mut self) -> Result<usize, u8> {
        let first = self.byte();
        Ok(match first {
            0..0x40 => usize::from(first),
            0x40..0x80 => usize::from(first & 0x3f) << 8 | usize::from(self.byte()),
            0x80 => {
                self.at += 4;
                u32::from_be_bytes(self.bytes[self.at - 4..self.at].try_into().unwrap()) as usize
            }
            0x81 => {
                self.at += 8;
                u64::from_be_bytes(self.bytes[self.at - 8..self.at].try_into().unwrap()) as usize
            }
            form => return Err(form),
        })
    }

    fn count(&mut self) -> usize {
        self.len().unwrap()
    }

    fn string(&mut self) -> &'b [u8] {
        let len = match self.len() {
            Ok(len) => len,
            Err(0xc0) => 1,
            Err(0xc1) => 2,
            Err(0xc2) => 4,
            Err(_) => {
                let compressed_len = self.count();
                self.count();
                compressed_len
            }
        };
        self.at += len;
        &self.bytes[self.at - len..self.at]
    }

    fn strings(&mut self, count: usize) {
        for _ in 0..count {
            self.string();
        }
    }

    /// Type and name of the next key.
    fn key(&mut self) -> Option<(u8, &'b [u8])> {
        loop {
            match self.byte() {
                0xff => return None,
                0xfe => _ = self.count(),
                0xfb => _ = (self.count(), self.count()),
                0xfa => self.strings(2),
                0xfc => self.at += 8,
                type_byte => return Some((type_byte, self.string())),
            }
        }
    }

    fn value(&mut self, type_byte: u8) {
        match type_byte {
            0 | 11 | 16 | 17 | 20 => self.strings(1),
            1 | 2 => {
                let count = self.count();
                self.strings(count);
            }
            4 => {
                let count = self.count();
                self.strings(2 * count);
            }
            5 => {
                for _ in 0..self.count() {
                    self.string();
                    self.at += 8;
                }
            }
            18 => {
                for _ in 0..self.count() {
                    self.count();
                    self.string();
                }
            }
            19 => {
                let count = self.count();
                self.strings(2 * count);
                for _ in 0..8 {
                    self.count();
                }
                assert_eq!(self.count(), 0, "no groups");
            }
            other => panic!("type {other}"),
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u64,
    keys: u64,
    bytes: u64,
}

struct Job {
    slots: Vec<Slot>,
    used: usize,
    types: [(u64, u64); 256],
    largest: BinaryHeap<Reverse<u64>>,
    /// What each byte counts as, and whether it separates.
    rule: [(u8, bool); 256],
}

impl Job {
    fn new() -> Self {
        let mut rule = [(0, false); 256];
        for (byte, rule) in (0..=u8::MAX).zip(&mut rule) {
            *rule = (if byte.is_ascii_digit() { b'0' } else { byte }, b":;,_- ".contains(&byte));
        }
        let (slots, largest) = (vec![Slot::default(); 1 << 12], BinaryHeap::new());
        Self { slots, used: 0, types: [(0, 0); 256], largest, rule }
    }

    fn take(&mut self, type_byte: u8, name: &[u8], bytes: u64) {
        const PRIME: u64 = 0x100_0000_01b3;
        let mut hash = 0xcbf2_9ce4_8422_2325 ^ u64::from(type_byte);
        let mut is_whole = true;
        for (at, byte) in name.iter().enumerate() {
            let (counts_as, separates) = self.rule[usize::from(*byte)];
            if separates && at > 0 {
                is_whole = false;
                self.add(hash, bytes);
            }
            hash = (hash ^ u64::from(counts_as)).wrapping_mul(PRIME);
        }
        if is_whole {
            self.add(hash, bytes);
        }
        let (keys, sum) = &mut self.types[usize::from(type_byte)];
        *keys += 1;
        *sum += bytes;
        if self.largest.len() < 100 {
            self.largest.push(Reverse(bytes));
        } else if self.largest.peek().is_some_and(|least| bytes > least.0) {
            self.largest.pop();
            self.largest.push(Reverse(bytes));
        }
    }

    fn add(&mut self, hash: u64, bytes: u64) {
        let mask = self.slots.len() - 1;
        let mut at = (hash ^ hash >> 29) as usize & mask;
        while self.slots[at].keys > 0 && self.slots[at].hash != hash {
            at = (at + 1) & mask;
        }
        let slot = &mut self.slots[at];
        self.used += usize::from(slot.keys == 0);
        *slot = Slot { hash, keys: slot.keys + 1, bytes: slot.bytes + bytes };
        if self.used * 2 > mask {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![Slot::default(); 2 * old.len()];
            let mask = self.slots.len() - 1;
            for slot in old.into_iter().filter(|slot| slot.keys > 0) {
                let mut at = (slot.hash ^ slot.hash >> 29) as usize & mask;
                while self.slots[at].keys > 0 {
                    at = (at + 1) & mask;
                }
                self.slots[at] = slot;
            }
        }
    }
}

//! Vector sets (`modules/vector-sets/vset.c`, Redis 8.0 on): a built-in type that is written
//! as a module value.
//!
//! ```text
//! [dim][elements][quantization + M << 8][flags: 1 projection, 2 attributes]
//! ([input dim][matrix]) { [element] ([attribute]) [vector] [count] {[parameter]} }
//! ```
//!
//! `VectorSetMemUsage` is an estimate from the first elements; what is allocated is taken to
//! be the same.

use offkey_rdb::{Part, Str};

use super::model::Model;
use super::object::ObjectCost;
use super::rules::Head;
use super::{Cost, Encoding, LEN_MAX};

const FLAG_PROJECTION: u64 = 1;
const FLAG_ATTRIBUTES: u64 = 2;
/// `sizeof(struct vsetObject)` and `sizeof(HNSW)`.
const SET_LEN: u64 = 112;
const HNSW_LEN: u64 = 1672;
/// `sizeof(hnswNode)`, `sizeof(hnswNodeLayer)`.
const NODE_LEN: u64 = 312;
const LAYER_LEN: u64 = 24;
/// Elements whose strings are measured.
const SAMPLED: u64 = 20;
/// The parameter of a node that says how many links it may have at layer 0.
const LINKS_PARAMETER: u64 = 3;

/// Sizes a vector set while its parts pass.
#[derive(Debug, Default)]
pub(crate) struct VectorSetSizer {
    next: Next,
    dim: u64,
    elements: u64,
    quantization: u64,
    has_attributes: bool,
    matrix_len: u64,
    links: u64,
    seen: u64,
    strings: u64,
    attributes: u64,
    sampled_attributes: u64,
    attribute_strings: u64,
}

/// What the next part is.
#[derive(Debug, Clone, Copy, Default)]
enum Next {
    #[default]
    Dim,
    Elements,
    Config,
    Flags,
    InputDim,
    Matrix,
    Element,
    Attribute,
    Vector,
    ParameterCount,
    Parameter {
        at: u64,
        count: u64,
    },
}

impl VectorSetSizer {
    pub(crate) fn begin(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn part(&mut self, model: &Model, part: &Part<'_>) {
        match part {
            Part::ModuleInt(value) => self.int(*value),
            Part::ModuleString(value) => self.string(model, value),
            _ => {}
        }
    }

    fn int(&mut self, value: u64) {
        self.next = match self.next {
            Next::Dim => {
                self.dim = value.min(LEN_MAX);
                Next::Elements
            }
            Next::Elements => {
                self.elements = value.min(LEN_MAX);
                Next::Config
            }
            Next::Config => {
                self.quantization = value & 0xff;
                // Replaced by the first node's own word; M defaults to 16.
                let m = (value >> 8) & 0xffff;
                self.links = 2 * if m == 0 { 16 } else { m };
                Next::Flags
            }
            Next::Flags => {
                self.has_attributes = value & FLAG_ATTRIBUTES != 0;
                if value & FLAG_PROJECTION != 0 { Next::InputDim } else { Next::Element }
            }
            Next::InputDim => {
                let matrix_len = value.saturating_mul(self.dim).saturating_mul(4);
                self.matrix_len = matrix_len.min(LEN_MAX);
                Next::Matrix
            }
            Next::ParameterCount if value == 0 => Next::Element,
            Next::ParameterCount => Next::Parameter { at: 0, count: value },
            Next::Parameter { at, count } => {
                if at == LINKS_PARAMETER && self.seen == 1 {
                    self.links = value & 0xffff;
                }
                if at + 1 == count { Next::Element } else { Next::Parameter { at: at + 1, count } }
            }
            other @ (Next::Matrix | Next::Element | Next::Attribute | Next::Vector) => other,
        }
    }

    fn string(&mut self, model: &Model, value: &Str<'_>) {
        let len = value.len.min(LEN_MAX);
        self.next = match self.next {
            Next::Matrix => Next::Element,
            Next::Element => {
                self.seen += 1;
                if self.seen <= SAMPLED {
                    self.strings += model.module_string(len);
                }
                if self.has_attributes { Next::Attribute } else { Next::Vector }
            }
            Next::Attribute => {
                if len > 0 {
                    self.attributes += 1;
                    if self.seen <= SAMPLED {
                        self.sampled_attributes += 1;
                        self.attribute_strings += model.module_string(len);
                    }
                }
                Next::Vector
            }
            Next::Vector => Next::ParameterCount,
            other => other,
        }
    }

    pub(crate) fn finish(&mut self, model: &Model, object: ObjectCost) -> (Encoding, u64, Cost) {
        let n = self.elements.max(self.seen);
        let vector_len = match self.quantization {
            0 => self.dim * 4,
            1 => self.dim,
            _ => self.dim.div_ceil(64) * 8,
        };
        let average = |sum: u64, count: u64| sum.checked_div(count);
        let each = NODE_LEN
            + vector_len
            + 8 * self.links
            + average(self.strings, self.seen.min(SAMPLED)).unwrap_or(0)
            + 16;
        let upper_links = (8 * (self.links / 2)).saturating_mul(n) / 3;
        let layers = (LAYER_LEN * 4).saturating_mul(n) / 3;
        let attribute = average(self.attribute_strings, self.sampled_attributes).unwrap_or(64);
        let mut size = SET_LEN + HNSW_LEN + self.matrix_len;
        if n > 0 {
            size = [each.saturating_mul(n), upper_links, layers, attribute * self.attributes]
                .into_iter()
                .fold(size, u64::saturating_add);
        }
        // `objectComputeSize` answers for a module without its object; 8.10 rounds the object.
        let object_usage = match model.rules.head {
            Head::Argument | Head::Requested | Head::Usable | Head::InEntry => 0,
            _ => object.object.bytes,
        };
        let object_cost = Cost { usage: object_usage, ..object.object };
        (Encoding::Raw, n, object.head + object_cost + Cost::same(size))
    }
}

impl Model {
    /// `RedisModule_MallocSizeString`: an object with its string.
    fn module_string(&self, len: u64) -> u64 {
        if len <= 44 { self.usable(20 + len) } else { 16 + self.usable_sds(len) }
    }
}

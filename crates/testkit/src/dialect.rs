//! The versions of the format, and the types each of them has.

/// Whose file of which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Redis, RDB version 1 to 15.
    Redis(u16),
    /// Valkey, RDB version 80.
    Valkey(u16),
}

impl Dialect {
    /// One of each version that differs from the one before.
    pub const ALL: &[Dialect] = &[
        Dialect::Redis(1),
        Dialect::Redis(2),
        Dialect::Redis(6),
        Dialect::Redis(7),
        Dialect::Redis(8),
        Dialect::Redis(9),
        Dialect::Redis(10),
        Dialect::Redis(11),
        Dialect::Redis(12),
        Dialect::Redis(13),
        Dialect::Redis(15),
        Dialect::Valkey(80),
    ];

    /// The version whose records this dialect has, in Redis' numbers.
    pub(crate) fn level(self) -> u16 {
        match self {
            Dialect::Redis(version) => version,
            Dialect::Valkey(_) => 11,
        }
    }

    /// The type bytes that a server writes in this dialect.
    pub fn types(self) -> Vec<u8> {
        /// Type, and the first and the last RDB version of Redis that has it.
        const SPANS: &[(u8, u16, u16)] = &[
            (0, 1, 15),
            (1, 1, 6),
            (2, 1, 15),
            (3, 1, 7),
            (4, 1, 15),
            (5, 8, 15),
            (7, 8, 15),
            (9, 2, 2),
            (10, 2, 6),
            (11, 2, 15),
            (12, 2, 9),
            (13, 6, 9),
            (14, 7, 9),
            (15, 9, 9),
            (16, 10, 15),
            (17, 10, 15),
            (18, 10, 15),
            (19, 10, 10),
            (20, 11, 15),
            (21, 11, 12),
            (24, 12, 15),
            (25, 12, 15),
            (26, 13, 14),
            (27, 15, 15),
            (28, 15, 15),
            (30, 15, 15),
            (32, 15, 15),
        ];
        let spans =
            SPANS.iter().filter(|(_, first, last)| (*first..=*last).contains(&self.level()));
        let mut types: Vec<_> = spans.map(|span| span.0).collect();
        if matches!(self, Dialect::Valkey(_)) {
            types.push(22);
        }
        types
    }
}

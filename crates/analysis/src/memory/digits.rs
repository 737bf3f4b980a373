//! Digits of a double as the server prints them: 17 up to Redis 7.0; from 7.2 on those of
//! `fpconv_dtoa`, whose Grisu2 makes a digit more than need be for one double in some hundreds.

/// A double or a power of ten: `fraction` times two to `exponent`.
#[derive(Debug, Clone, Copy)]
struct Scaled {
    fraction: u64,
    exponent: i32,
}

/// Digits of a positive number, and the power of ten of the first one.
#[derive(Debug, Default)]
pub(crate) struct Digits {
    bytes: [u8; 20],
    len: usize,
    pub(crate) exponent: i32,
}

const FIRST_POWER: i32 = -348;
const POWER_STEP: i32 = 8;

impl Digits {
    /// The digits of `%.17g` of a finite number above zero.
    pub(crate) fn of_17(value: f64) -> Self {
        let mut digits = Self::default();
        let text = format!("{value:.16e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or_default();
        mantissa.bytes().filter(u8::is_ascii_digit).for_each(|b| digits.push(u64::from(b - b'0')));
        while digits.as_bytes().ends_with(b"0") {
            digits.len -= 1;
        }
        digits.exponent = exponent.parse().unwrap_or(0);
        digits
    }

    /// The digits of `fpconv_dtoa` (`grisu2`) of such a number.
    pub(crate) fn shortest(value: f64) -> Self {
        let bits = value.to_bits();
        let hidden_bit = 1 << 52;
        let (fraction, biased) = (bits & (hidden_bit - 1), (bits >> 52) & 0x7ff);
        // Below the normal numbers the hidden bit is not set.
        let fraction = if biased > 0 { fraction | hidden_bit } else { fraction };
        let exponent = i32::try_from(biased.max(1)).unwrap_or(0) - 1075;

        let shift = fraction.leading_zeros();
        let exponent = exponent - shift.cast_signed();
        let scaled = |fraction| Scaled { fraction, exponent };
        let middle = fraction << shift;
        let half_gap = 1 << (shift - 1);
        // Doubles below a power of two lie at half the distance.
        let half_gap_below = if fraction == hidden_bit { half_gap / 2 } else { half_gap };

        let (power, power_exponent) = cached_power(exponent);
        let product = |fraction| multiply(scaled(fraction), power);
        let mut upper = product(middle + half_gap);
        let lower = product(middle - half_gap_below).fraction + 1;
        upper.fraction -= 1;
        let mut digits = Self::default();
        let last = digits.generate(upper, product(middle).fraction, lower) - power_exponent;
        digits.exponent = last + i32::try_from(digits.len).unwrap_or(0) - 1;
        digits
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Makes digits until what is left is within the bounds; returns the power of the last one
    /// (`generate_digits`).
    fn generate(&mut self, upper: Scaled, middle: u64, lower: u64) -> i32 {
        let shift = -upper.exponent;
        let mut to_middle = upper.fraction - middle;
        let mut delta = upper.fraction - lower;
        let mut whole = upper.fraction >> shift;
        let mut rest = upper.fraction & ((1 << shift) - 1);
        for power in (0..10).rev() {
            let unit = 10_u64.pow(power);
            self.push(whole / unit);
            whole %= unit;
            let left = (whole << shift) + rest;
            if left <= delta {
                self.round(delta, left, unit << shift, to_middle);
                return power.cast_signed();
            }
        }
        let mut power = 0;
        loop {
            rest *= 10;
            delta *= 10;
            to_middle *= 10;
            power -= 1;
            self.push(rest >> shift);
            rest &= (1 << shift) - 1;
            if rest < delta {
                self.round(delta, rest, 1 << shift, to_middle);
                return power;
            }
        }
    }

    fn push(&mut self, digit: u64) {
        if (digit > 0 || self.len > 0)
            && let Some(room) = self.bytes.get_mut(self.len)
        {
            *room = b'0' + u8::try_from(digit).unwrap_or(0);
            self.len += 1;
        }
    }

    /// Lowers the last digit while that brings it nearer to the number (`round_digit`).
    fn round(&mut self, delta: u64, mut left: u64, unit: u64, to_middle: u64) {
        while left < to_middle
            && delta - left >= unit
            && (left + unit < to_middle || to_middle - left > left + unit - to_middle)
        {
            if let Some(last) = self.len.checked_sub(1).and_then(|at| self.bytes.get_mut(at)) {
                *last -= 1;
            }
            left += unit;
        }
    }
}

/// The product's upper half, rounded.
fn multiply(a: Scaled, b: Scaled) -> Scaled {
    let product = (u128::from(a.fraction) * u128::from(b.fraction) + (1 << 63)) >> 64;
    let fraction = u64::try_from(product).unwrap_or(u64::MAX);
    Scaled { fraction, exponent: a.exponent + b.exponent + 64 }
}

/// A power of ten that brings a number of this exponent to between 2^-60 and 2^-32, and which
/// it is (`find_cachedpow10`).
fn cached_power(exponent: i32) -> (Scaled, i32) {
    #[expect(clippy::cast_possible_truncation, reason = "cut off as the server does")]
    let guess = (-f64::from(exponent + 87) * std::f64::consts::LOG10_2) as i32;
    let mut index = (guess - FIRST_POWER) / POWER_STEP;
    loop {
        let power_exponent = FIRST_POWER + index * POWER_STEP;
        // log2(10) in 16 bits is enough for all of them.
        let power = Scaled {
            fraction: usize::try_from(index).ok().and_then(|i| POWERS.get(i)).copied().unwrap_or(0),
            exponent: ((power_exponent * 217_706) >> 16) - 63,
        };
        match exponent + power.exponent + 64 {
            ..-60 => index += 1,
            -60..=-32 => return (power, power_exponent),
            _ => index -= 1,
        }
    }
}

/// Every eighth power of ten from -348 on: its upper 64 bits, rounded.
#[rustfmt::skip]
const POWERS: [u64; 87] = [
    0xfa8f_d5a0_081c_0288, 0xbaae_e17f_a23e_bf76, 0x8b16_fb20_3055_ac76, 0xcf42_894a_5dce_35ea,
    0x9a6b_b0aa_5565_3b2d, 0xe61a_cf03_3d1a_45df, 0xab70_fe17_c79a_c6ca, 0xff77_b1fc_bebc_dc4f,
    0xbe56_91ef_416b_d60c, 0x8dd0_1fad_907f_fc3c, 0xd351_5c28_3155_9a83, 0x9d71_ac8f_ada6_c9b5,
    0xea9c_2277_23ee_8bcb, 0xaecc_4991_4078_536d, 0x823c_1279_5db6_ce57, 0xc210_9436_4dfb_5637,
    0x9096_ea6f_3848_984f, 0xd774_85cb_2582_3ac7, 0xa086_cfcd_97bf_97f4, 0xef34_0a98_172a_ace5,
    0xb238_67fb_2a35_b28e, 0x84c8_d4df_d2c6_3f3b, 0xc5dd_4427_1ad3_cdba, 0x936b_9fce_bb25_c996,
    0xdbac_6c24_7d62_a584, 0xa3ab_6658_0d5f_daf6, 0xf3e2_f893_dec3_f126, 0xb5b5_ada8_aaff_80b8,
    0x8762_5f05_6c7c_4a8b, 0xc9bc_ff60_34c1_3053, 0x964e_858c_91ba_2655, 0xdff9_7724_7029_7ebd,
    0xa6df_bd9f_b8e5_b88f, 0xf8a9_5fcf_8874_7d94, 0xb944_7093_8fa8_9bcf, 0x8a08_f0f8_bf0f_156b,
    0xcdb0_2555_6531_31b6, 0x993f_e2c6_d07b_7fac, 0xe45c_10c4_2a2b_3b06, 0xaa24_2499_6973_92d3,
    0xfd87_b5f2_8300_ca0e, 0xbce5_0864_9211_1aeb, 0x8cbc_cc09_6f50_88cc, 0xd1b7_1758_e219_652c,
    0x9c40_0000_0000_0000, 0xe8d4_a510_0000_0000, 0xad78_ebc5_ac62_0000, 0x813f_3978_f894_0984,
    0xc097_ce7b_c907_15b3, 0x8f7e_32ce_7bea_5c70, 0xd5d2_38a4_abe9_8068, 0x9f4f_2726_179a_2245,
    0xed63_a231_d4c4_fb27, 0xb0de_6538_8cc8_ada8, 0x83c7_088e_1aab_65db, 0xc45d_1df9_4271_1d9a,
    0x924d_692c_a61b_e758, 0xda01_ee64_1a70_8dea, 0xa26d_a399_9aef_774a, 0xf209_787b_b47d_6b85,
    0xb454_e4a1_79dd_1877, 0x865b_8692_5b9b_c5c2, 0xc835_53c5_c896_5d3d, 0x952a_b45c_fa97_a0b3,
    0xde46_9fbd_99a0_5fe3, 0xa59b_c234_db39_8c25, 0xf6c6_9a72_a398_9f5c, 0xb7dc_bf53_54e9_bece,
    0x88fc_f317_f222_41e2, 0xcc20_ce9b_d35c_78a5, 0x9816_5af3_7b21_53df, 0xe2a0_b5dc_971f_303a,
    0xa8d9_d153_5ce3_b396, 0xfb9b_7cd9_a4a7_443c, 0xbb76_4c4c_a7a4_4410, 0x8bab_8eef_b640_9c1a,
    0xd01f_ef10_a657_842c, 0x9b10_a4e5_e991_3129, 0xe710_9bfb_a19c_0c9d, 0xac28_20d9_623b_f429,
    0x8044_4b5e_7aa7_cf85, 0xbf21_e440_03ac_dd2d, 0x8e67_9c2f_5e44_ff8f, 0xd433_179d_9c8c_b841,
    0x9e19_db92_b4e3_1ba9, 0xeb96_bf6e_badf_77d9, 0xaf87_023b_9bf0_ee6b,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What Redis 8.2.3 and Valkey 9.1.2 answer.
    #[test]
    fn digits_are_those_of_the_server() {
        for (value, text, exponent) in [
            (1.0, "1", 0),
            (0.1, "1", -1),
            (123.456, "123456", 2),
            (5e-324, "5", -324),
            (f64::MAX, "17976931348623157", 308),
            (2.454440643907477e-95, "24544406439074772", -95),
            (4_611_686_018_427_388_928.0, "4611686018427389", 18),
        ] {
            let digits = Digits::shortest(value);
            assert_eq!(std::str::from_utf8(digits.as_bytes()).unwrap(), text);
            assert_eq!(digits.exponent, exponent, "{text}");
        }
    }
}

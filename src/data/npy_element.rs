//! Elements of NumPy arrays that name classes: whole numbers, truth values and texts.

/// Type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    kind: Kind,
    /// Bytes of a number, letters of a text.
    length: u64,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Unsigned,
    Signed,
    Float,
    /// Of bytes.
    Bytes,
    /// Of code points in 32 bits.
    Text,
}

impl Element {
    /// That of NumPy's name `kind`, as `<i8` and `<U12`.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn of(kind: &str) -> Result<Element, String> {
        let fail = || format!("elements of type {kind:?}; expected whole numbers or texts");
        let big_endian = kind.starts_with('>');
        let name = kind.trim_start_matches(['<', '>', '|', '=']);
        let mut letters = name.chars();
        let letter = letters.next().ok_or_else(fail)?;
        let length: u64 = letters.as_str().parse().map_err(|_| fail())?;
        let kind = match (letter, length) {
            ('b', 1) => Kind::Bool,
            ('u', 1 | 2 | 4 | 8) => Kind::Unsigned,
            ('i', 1 | 2 | 4 | 8) => Kind::Signed,
            ('f', 4 | 8) => Kind::Float,
            ('S', 1..) => Kind::Bytes,
            ('U', 1..) => Kind::Text,
            _ => return Err(fail()),
        };
        Ok(Element { kind, length, big_endian })
    }

    /// Bytes of an element.
    pub fn size(&self) -> u64 {
        if self.kind == Kind::Text { self.length.saturating_mul(4) } else { self.length }
    }

    /// The label in the [`size`](Self::size) bytes of an element.
    ///
    /// # Errors
    /// Numbers that are not whole, texts that are none.
    pub fn label(&self, bytes: &[u8]) -> Result<String, String> {
        match self.kind {
            Kind::Bool => Ok(if bytes == [0] { "False" } else { "True" }.to_owned()),
            Kind::Unsigned => Ok(self.bits(bytes).to_string()),
            Kind::Signed => {
                // The sign is the topmost bit of the bytes there are.
                let unused = u64::BITS - 8 * bytes.len() as u32;
                Ok(((self.bits(bytes) << unused).cast_signed() >> unused).to_string())
            }
            Kind::Float => {
                let bits = self.bits(bytes);
                let value =
                    if bytes.len() == 4 { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) };
                if value.fract() == 0.0 {
                    Ok(value.to_string())
                } else {
                    Err(format!("a label of {value}; expected whole numbers"))
                }
            }
            Kind::Bytes => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.trim_end_matches('\0').trim().to_owned()),
                Err(_) => Err("labels that are no UTF-8".to_owned()),
            },
            Kind::Text => {
                let letters =
                    bytes.as_chunks::<4>().0.iter().map(|letter| self.bits(letter)).take_while(|code| *code != 0);
                let text: Option<String> = letters.map(|code| char::from_u32(code as u32)).collect();
                text.map(|text| text.trim().to_owned()).ok_or_else(|| "labels that are no texts".to_owned())
            }
        }
    }

    /// The bits of at most eight bytes.
    fn bits(&self, bytes: &[u8]) -> u64 {
        let add = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_as_numpy_writes_them() {
        let label = |kind: &str, bytes: &[u8]| Element::of(kind).and_then(|element| element.label(bytes));
        for (kind, bytes, want) in [
            ("|u1", &[200][..], "200"),
            ("|i1", &[200], "-56"),
            ("<u2", &[1, 2], "513"),
            (">i2", &[255, 254], "-2"),
            ("<i8", &[7, 0, 0, 0, 0, 0, 0, 0], "7"),
            ("|b1", &[1], "True"),
            ("<f4", &3f32.to_le_bytes(), "3"),
            (">f8", &(-2f64).to_be_bytes(), "-2"),
            ("|S4", b"cat\0", "cat"),
            ("<U3", b"\xfc\0\0\0b\0\0\0\0\0\0\0", "\u{fc}b"),
        ] {
            assert_eq!(label(kind, bytes), Ok(want.to_owned()), "{kind}");
        }
        for (kind, bytes) in [("<f4", &0.5f32.to_le_bytes()[..]), ("|S1", &[0xff]), ("<U1", &[0, 0, 0, 0xff])] {
            assert!(label(kind, bytes).is_err(), "{kind}");
        }
        for kind in ["|O", "<c8", "<i3", "<U", "<U0", "", "\u{fc}1"] {
            assert!(Element::of(kind).is_err(), "{kind}");
        }
        assert_eq!(Element::of("<U12").map(|element| element.size()), Ok(48));
    }
}

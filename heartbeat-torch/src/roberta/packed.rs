//! Texts of any lengths one after the other, without padding between them.

use std::ops::Range;

use tch::{Device, TchError, Tensor};

/// A run of texts that have the same number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Where its first token is.
    pub(super) start: i64,
    pub(super) texts: i64,
    /// How many tokens each text has.
    pub(super) length: i64,
}

impl Run {
    /// Those of all its tokens.
    pub(super) fn rows(&self) -> Range<usize> {
        self.start as usize..self.end() as usize
    }

    fn end(&self) -> i64 {
        self.start + self.texts * self.length
    }

    /// Those of the tokens of each text.
    pub(super) fn texts(&self) -> impl Iterator<Item = Range<usize>> {
        let length = self.length as usize;
        self.rows()
            .step_by(length)
            .map(move |start| start..start + length)
    }
}

/// The tokens of several texts, the shorter texts first.
#[derive(Debug)]
pub(super) struct PackedTexts {
    /// All tokens' ids, then fill-in.
    pub(super) ids: Tensor,
    /// The position of each token: the padding's own for a padding token, which a text may hold, and
    /// for any other the next one after it.
    pub(super) positions: Tensor,
    /// Where each text's first token is, then fill-in.
    pub(super) first: Tensor,
    pub(super) runs: Vec<Run>,
    /// Which text comes at which place.
    pub(super) order: Vec<usize>,
}

impl PackedTexts {
    /// Packs texts, none of them without tokens. `rows` tells how many rows there shall be where so many
    /// are needed.
    pub(super) fn new(
        texts: &[&[u32]],
        padding_id: i64,
        rows: impl Fn(usize) -> usize,
        device: Device,
    ) -> Result<Self, TchError> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| texts[index].len());

        let mut ids: Vec<i64> = Vec::new();
        let mut positions: Vec<i64> = Vec::new();
        let mut first: Vec<i64> = Vec::new();
        let mut runs: Vec<Run> = Vec::new();
        for &index in &order {
            let text = texts[index];
            let (start, length) = (ids.len() as i64, text.len() as i64);
            match runs.last_mut() {
                Some(run) if run.length == length => run.texts += 1,
                _ => runs.push(Run {
                    start,
                    texts: 1,
                    length,
                }),
            }
            first.push(start);
            let mut last = padding_id;
            for id in text.iter().map(|&id| i64::from(id)) {
                ids.push(id);
                positions.push(if id == padding_id {
                    padding_id
                } else {
                    last += 1;
                    last
                });
            }
        }
        ids.resize(rows(ids.len()), 0);
        positions.resize(ids.len(), 0);
        first.resize(rows(first.len()), 0);
        let tensor = |values: &[i64]| Tensor::f_from_slice(values)?.f_to_device(device);
        Ok(Self {
            ids: tensor(&ids)?,
            positions: tensor(&positions)?,
            first: tensor(&first)?,
            runs,
            order,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_length_lie_together_the_shorter_first_and_padding_has_its_position() {
        let texts: [&[u32]; 4] = [&[5, 6, 7], &[0, 2], &[8, 1, 9], &[3, 4]];
        let packed = PackedTexts::new(&texts, 1, |rows| rows + 2, Device::Cpu).unwrap();
        let values = |tensor: &Tensor| Vec::<i64>::try_from(tensor).unwrap();
        assert_eq!(values(&packed.ids)[..10], [0, 2, 3, 4, 5, 6, 7, 8, 1, 9]);
        assert_eq!(
            values(&packed.positions)[..10],
            [2, 3, 2, 3, 2, 3, 4, 2, 1, 3]
        );
        assert_eq!(packed.ids.size(), [12]);
        assert_eq!(values(&packed.first)[..4], [0, 2, 4, 7]);
        assert_eq!(packed.first.size(), [6]);
        assert_eq!(packed.order, [1, 3, 0, 2]);
        let run = |start, texts, length| Run {
            start,
            texts,
            length,
        };
        assert_eq!(packed.runs, [run(0, 2, 2), run(4, 2, 3)]);
    }
}

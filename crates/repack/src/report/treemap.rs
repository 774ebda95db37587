//! Tiles whose areas are what they stand for: the squarified treemap (Bruls, Huizing, van Wijk 2000),
//! which keeps them as close to squares as it can. Pure arithmetic.

/// A tile, in whatever unit its surroundings are in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tile {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Tile {
    fn area(self) -> f64 {
        self.width * self.height
    }

    /// The part that `share` of the area takes along the shorter side, and what is left.
    fn split(self, share: f64) -> (Self, Self) {
        let (mut part, mut rest) = (self, self);
        if self.width >= self.height {
            part.width = self.width * share;
            rest.left += part.width;
            rest.width -= part.width;
        } else {
            part.height = self.height * share;
            rest.top += part.height;
            rest.height -= part.height;
        }
        (part, rest)
    }
}

/// Divides `whole` among `weights`, the largest first, which must be positive; tiles in their order.
pub(super) fn squarified(weights: &[f64], whole: Tile) -> Vec<Tile> {
    let mut tiles = Vec::with_capacity(weights.len());
    let (mut rest, mut left) = (whole, weights);
    while !left.is_empty() {
        let total: f64 = left.iter().sum();
        let scale = rest.area() / total;
        let side = rest.width.min(rest.height);
        // A row takes one more tile as long as that makes its worst one less oblong.
        let mut count = 1;
        while count < left.len()
            && worst(&left[..=count], scale, side) <= worst(&left[..count], scale, side)
        {
            count += 1;
        }
        let (row, others) = left.split_at(count);
        let sum: f64 = row.iter().sum();
        let (mut strip, after) = rest.split(sum / total);
        let across = rest.width >= rest.height;
        let (start, length) = if across {
            (strip.top, strip.height)
        } else {
            (strip.left, strip.width)
        };
        let mut before = 0.0;
        for weight in row {
            let (from, extent) = (start + length * before / sum, length * weight / sum);
            if across {
                (strip.top, strip.height) = (from, extent);
            } else {
                (strip.left, strip.width) = (from, extent);
            }
            tiles.push(strip);
            before += weight;
        }
        (rest, left) = (after, others);
    }
    tiles
}

/// How oblong the worst tile of a row along `side` is; 1 is a square.
fn worst(row: &[f64], scale: f64, side: f64) -> f64 {
    let area: f64 = row.iter().sum::<f64>() * scale;
    let thickness = area / side;
    row.iter()
        .map(|weight| {
            let length = weight * scale / thickness;
            (length / thickness).max(thickness / length)
        })
        .fold(1.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Tile = Tile {
        left: 0.0,
        top: 0.0,
        width: 6.0,
        height: 4.0,
    };

    #[test]
    fn tiles_of_the_paper_are_the_papers() {
        let tiles = squarified(&[6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0], WHOLE);
        let rounded: Vec<_> = tiles
            .iter()
            .map(|tile| (tile.left, tile.top, tile.width, tile.height))
            .map(|(a, b, c, d)| [a, b, c, d].map(|side| (side * 100.0).round() / 100.0))
            .collect();
        assert_eq!(rounded[..2], [[0.0, 0.0, 3.0, 2.0], [0.0, 2.0, 3.0, 2.0]]);
        assert_eq!(
            rounded[2..4],
            [[3.0, 0.0, 1.71, 2.33], [4.71, 0.0, 1.29, 2.33]]
        );
    }

    #[test]
    fn tiles_cover_the_whole_in_proportion() {
        let weights: Vec<f64> = (1..40).rev().map(|n| f64::from(n * n)).collect();
        let total: f64 = weights.iter().sum();
        let tiles = squarified(&weights, WHOLE);
        for (tile, weight) in tiles.iter().zip(&weights) {
            assert!((tile.area() / WHOLE.area() - weight / total).abs() < 1e-9);
            assert!(tile.left >= 0.0 && tile.left + tile.width <= WHOLE.width + 1e-9);
            assert!(tile.top >= 0.0 && tile.top + tile.height <= WHOLE.height + 1e-9);
        }
        let overlap = |a: &Tile, b: &Tile| {
            let across = (a.left + a.width).min(b.left + b.width) - a.left.max(b.left);
            let down = (a.top + a.height).min(b.top + b.height) - a.top.max(b.top);
            across > 1e-9 && down > 1e-9
        };
        for (index, a) in tiles.iter().enumerate() {
            assert!(!tiles[index + 1..].iter().any(|b| overlap(a, b)));
        }
        assert_eq!(squarified(&[], WHOLE), []);
    }
}

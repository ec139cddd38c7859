//! Pages of a list: how many, after which position. The sealed cursor that carries a position is made in `http`.

/// The default size of a page.
pub const DEFAULT_LIMIT: i64 = 50;
/// The largest size of a page.
pub const MAX_LIMIT: i64 = 1_000;

/// What part of a list is asked for. `P` is the key of the last row already seen.
#[derive(Debug, Clone)]
pub struct Window<P> {
    /// At most so many rows.
    pub limit: i64,
    /// Rows strictly after this one; from the start when absent.
    pub after: Option<P>,
}

/// A part of a list, and where the next one begins.
#[derive(Debug, Clone)]
pub struct Page<T, P> {
    /// The rows, in the order of the list.
    pub rows: Vec<T>,
    /// The position of the last row, when more follow.
    pub next: Option<P>,
}

impl<T, P> Page<T, P> {
    /// Cuts `rows`, of which one more than the limit was asked for, into a page.
    pub fn cut(mut rows: Vec<T>, window: &Window<P>, position: impl Fn(&T) -> P) -> Self {
        let limit = usize::try_from(window.limit).unwrap_or(0);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(position) } else { None };
        Self { rows, next }
    }

    /// The same page of other things, if each can be made.
    pub fn try_map<U, E>(self, f: impl FnMut(T) -> Result<U, E>) -> Result<Page<U, P>, E> {
        Ok(Page { rows: self.rows.into_iter().map(f).collect::<Result<_, _>>()?, next: self.next })
    }

    /// The same page of other things.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U, P> {
        Page { rows: self.rows.into_iter().map(f).collect(), next: self.next }
    }
}

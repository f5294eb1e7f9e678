//! Pages of lists.

use bcdr_http::Problem;
use serde::Serialize;
use std::str::FromStr;
use utoipa::ToSchema;

const LIMIT_DEFAULT: u32 = 100;
pub(super) const LIMIT_MAX: u32 = 1000;

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Page<Item> {
    /// The items.
    pub(super) items: Vec<Item>,
    /// Where the list goes on; null at its end.
    pub(super) next_cursor: Option<String>,
}

/// What a client asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<Cursor> {
    pub(super) after: Option<Cursor>,
    limit: usize,
}

impl<Cursor: FromStr> Wanted<Cursor> {
    /// Reads `limit` and `cursor`.
    pub(super) fn read(limit: Option<u32>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(
                Problem::invalid(format!("limit is {limit}, not 1 to {LIMIT_MAX}")).field("limit"),
            );
        }
        let after = cursor
            .map(|text| {
                text.parse().map_err(|_| {
                    Problem::invalid("the cursor is not one that a list gave")
                        .field("cursor")
                        .remedy("begin again without a cursor")
                })
            })
            .transpose()?;
        Ok(Self {
            after,
            limit: limit as usize,
        })
    }

    /// How many items to fetch: one more than shown, to know whether the list goes on.
    pub(super) fn fetch(&self) -> usize {
        self.limit + 1
    }

    /// Makes the page of what was fetched; `cursor` names an item.
    pub(super) fn page<Item>(
        &self,
        mut items: Vec<Item>,
        cursor: impl FnOnce(&Item) -> String,
    ) -> Page<Item> {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next_cursor = items.last().filter(|_| more).map(cursor);
        Page { items, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_cursor_only_when_the_list_goes_on() {
        let wanted = Wanted::<u32>::read(Some(2), None).unwrap();
        assert_eq!(wanted.fetch(), 3);
        let page = wanted.page(vec![1, 2, 3], u32::to_string);
        assert_eq!(
            (page.items, page.next_cursor),
            (vec![1, 2], Some("2".to_owned()))
        );
        let page = wanted.page(vec![3, 4], u32::to_string);
        assert_eq!((page.items, page.next_cursor), (vec![3, 4], None));
    }

    #[test]
    fn odd_limits_and_cursors_are_refused_by_field() {
        for (limit, cursor, field) in [
            (Some(0), None, "limit"),
            (Some(1001), None, "limit"),
            (None, Some("x"), "cursor"),
        ] {
            let refused = Wanted::<u32>::read(limit, cursor).unwrap_err();
            assert_eq!(refused.field.as_deref(), Some(field));
        }
    }
}

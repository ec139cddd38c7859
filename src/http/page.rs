//! Pages of lists on the wire: the common query parameters, the body, and the `Link` header.

use super::cursor;
use crate::kernel::error::Fault;
use crate::kernel::paging::{Page, Window};
use crate::state::Keys;
use actix_web::HttpResponse;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

/// A part of a list.
#[derive(Serialize, ToSchema)]
pub struct PageView<T: Serialize + ToSchema> {
    /// The things.
    pub data: Vec<T>,
    /// Give it as `cursor` to get what follows; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What a page is asked for with: the list's sealed name, its public path and filters, and the two parameters.
pub struct Asked<'a> {
    /// The name cursors are bound to.
    pub list: String,
    /// The path with the filters, for `Link`; the cursor is added.
    pub link: String,
    /// `limit`.
    pub limit: i64,
    /// `cursor`.
    pub cursor: Option<&'a str>,
}

impl Asked<'_> {
    /// The window asked for.
    pub fn window<P: DeserializeOwned>(&self, keys: &Keys) -> Result<Window<P>, Fault> {
        let after = self.cursor.map(|text| cursor::open(keys, &self.list, text)).transpose()?;
        Ok(Window { limit: self.limit, after })
    }

    /// The sealed position behind a page.
    pub fn next<T, P: Serialize>(&self, keys: &Keys, page: &Page<T, P>) -> Result<Option<String>, Fault> {
        page.next.as_ref().map(|position| cursor::seal(keys, &self.list, position)).transpose()
    }

    /// The answer: any body, with `Link` to the next page.
    pub fn answer(&self, body: &impl Serialize, next: Option<&str>) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        if let Some(next) = next {
            let glue = if self.link.contains('?') { '&' } else { '?' };
            response.insert_header(("Link", format!("<{}{glue}limit={}&cursor={next}>; rel=\"next\"", self.link, self.limit)));
        }
        response.json(body)
    }

    /// The answer of a plain list.
    pub fn list<T: Serialize + ToSchema, P: Serialize>(&self, keys: &Keys, page: Page<T, P>) -> Result<HttpResponse, Fault> {
        let next_cursor = self.next(keys, &page)?;
        let next = next_cursor.clone();
        Ok(self.answer(&PageView { data: page.rows, next_cursor }, next.as_deref()))
    }
}

//! One way to write a statement: SQL as a literal, `{}` where a value is bound. The text is `&'static str`, so no input can
//! become SQL; statements are prepared once per connection (diesel's own `sql_query` is not, which costs a round trip).

use diesel::expression::{AsExpression, Expression};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{SingleValue, SqlType, Untyped};

type Bind = Box<dyn QueryFragment<Pg> + Send>;

/// A statement with its bound values.
pub struct Sql {
    text: &'static str,
    binds: Vec<Bind>,
}

/// Begins a statement; every `{}` in `text` takes one [`Sql::bind`], in order.
pub fn sql(text: &'static str) -> Sql {
    Sql { text, binds: Vec::new() }
}

impl Sql {
    /// Binds the next value with its SQL type.
    pub fn bind<ST, T>(mut self, value: T) -> Self
    where
        ST: SqlType + SingleValue,
        T: AsExpression<ST>,
        T::Expression: Expression + QueryFragment<Pg> + Send + 'static,
    {
        self.binds.push(Box::new(value.as_expression()));
        self
    }
}

impl QueryFragment<Pg> for Sql {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // Walked several times for each statement sent: one byte is looked for, which is quick; two are a search.
        let mut parts = self.text.split('{');
        out.push_sql(parts.next().unwrap_or_default());
        let mut binds = self.binds.iter();
        for part in parts {
            let Some(rest) = part.strip_prefix('}') else {
                out.push_sql("{");
                out.push_sql(part);
                continue;
            };
            match binds.next() {
                Some(bind) => bind.walk_ast(out.reborrow())?,
                None => return Err(diesel::result::Error::QueryBuilderError("fewer binds than places".into())),
            }
            out.push_sql(rest);
        }
        match binds.next() {
            None => Ok(()),
            Some(_) => Err(diesel::result::Error::QueryBuilderError("more binds than places".into())),
        }
    }
}

impl QueryId for Sql {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Sql {
    type SqlType = Untyped;
}

//! The shape of the house, without a database: import order, what each kind of file may use, the document and its routes.

mod document;
mod house;

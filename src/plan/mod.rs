//! From tree to checked plan: says whether a plan makes sense; runs nothing.
//!
//! The result, [`logical::Plan`], is plain data in which every name is a number and every
//! expression is typed. What can be called, and with what, the checker asks of a
//! [`signature::Catalog`], so that a new function is known here without a line.

pub mod expression;
pub mod logical;
pub mod signature;

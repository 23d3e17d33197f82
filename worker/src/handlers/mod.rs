//! What each route does.

pub(crate) mod api_tokens;
pub(crate) mod capabilities;
pub(crate) mod chat;
pub(crate) mod health;
pub(crate) mod login;
pub(crate) mod models;

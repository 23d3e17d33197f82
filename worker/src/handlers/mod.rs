//! What each route does.

pub(crate) mod api_tokens;
pub(crate) mod audit;
pub(crate) mod backends;
pub(crate) mod health;
pub(crate) mod inference;
pub(crate) mod models;
pub(crate) mod password;
pub(crate) mod registration;
pub(crate) mod session;
pub(crate) mod sso;
pub(crate) mod users;

use comind::error::Error;
use comind::types::to_json;

use crate::context::RequestContext;
use crate::http::{Answer, read_json_body};

/// Bodies about accounts are a few short strings.
const ACCOUNT_BODY_LIMIT_BYTES: u32 = 16 * 1024;

async fn read_account_body(context: &RequestContext) -> Result<Vec<u8>, Error> {
    let limit_bytes = ACCOUNT_BODY_LIMIT_BYTES.min(context.config.body_limit_bytes);
    Ok(read_json_body(&context.request, &context.head, limit_bytes).await?.1)
}

/// `{"message":"…"}`.
fn message(status: u16, text: &str) -> Answer {
    Answer::json_text(status, format!(r#"{{"message":{}}}"#, to_json(&text)))
}

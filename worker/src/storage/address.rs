//! Whose an e-mail address is.

use serde::{Deserialize, Serialize};
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::{Refusal, is_empty, migrate, reply, rows};

const SCHEMA: &[&str] = &["CREATE TABLE owner (user_id TEXT NOT NULL)"];

/// What can be asked of an address.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AddressCall {
    /// Whose it is: `null` or a user's id.
    Find,
    /// Takes it for this user unless somebody has it; answers who has it now.
    Claim {
        /// The user's id.
        user_id: String,
    },
}

/// The object of one address.
#[durable_object(fetch)]
#[derive(Debug)]
pub struct Address {
    state: State,
}

impl DurableObject for Address {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let call: AddressCall = request.json().await?;
        let sql = self.state.storage().sql();
        match call {
            AddressCall::Find if is_empty(&sql)? => reply::<Option<String>>(Ok(None)),
            AddressCall::Find => reply(Ok::<_, Refusal>(self.owner()?)),
            AddressCall::Claim { user_id } => {
                migrate(&sql, SCHEMA)?;
                if let Some(owner) = self.owner()? {
                    return reply(Ok::<_, Refusal>(owner));
                }
                sql.exec("INSERT INTO owner VALUES (?)", vec![user_id.as_str().into()])?;
                reply(Ok::<_, Refusal>(user_id))
            }
        }
    }
}

impl Address {
    fn owner(&self) -> worker::Result<Option<String>> {
        #[derive(Deserialize)]
        struct Owner {
            user_id: String,
        }
        let owners = rows::<Owner>(&self.state.storage().sql(), "SELECT user_id FROM owner", Vec::new())?;
        Ok(owners.into_iter().next().map(|owner| owner.user_id))
    }
}

//! Whose an e-mail address is.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::{Refusal, Sql, question, reply};

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
    sql: Rc<Sql>,
}

impl DurableObject for Address {
    fn new(state: State, _env: Env) -> Self {
        Self { sql: Sql::of(&state) }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let call: AddressCall = question(&mut request).await?;
        match call {
            AddressCall::Find if self.sql.is_empty()? => reply::<Option<String>>(Ok(None)),
            AddressCall::Find => reply(Ok::<_, Refusal>(self.owner()?)),
            AddressCall::Claim { user_id } => {
                self.sql.migrate(SCHEMA)?;
                if let Some(owner) = self.owner()? {
                    return reply(Ok::<_, Refusal>(owner));
                }
                self.sql.run("INSERT INTO owner VALUES (?)", &[user_id.as_str().into()])?;
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
        let owners = self.sql.rows::<Owner>("SELECT user_id FROM owner", &[])?;
        Ok(owners.into_iter().next().map(|owner| owner.user_id))
    }
}

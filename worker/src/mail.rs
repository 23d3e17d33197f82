//! Sends mails, behind the answer: how long that takes, and whether it works, is not the caller's to know.

use std::rc::Rc;

use comind::account::Email;
use comind::mail::{Api, Dialogue, Failure, Mailer, Message, Notice, Security, Server, Step};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use crate::config::Config;
use crate::context::RequestContext;
use crate::{log, runtime};

#[wasm_bindgen(module = "/src/js/mail.js")]
extern "C" {
    type Connection;

    #[wasm_bindgen(constructor, catch)]
    fn open(host: &str, port: u16, secure_transport: &str, limit_ms: u32) -> Result<Connection, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn read(this: &Connection) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn write(this: &Connection, text: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch, js_name = startTls)]
    fn start_tls(this: &Connection) -> Result<(), JsValue>;

    #[wasm_bindgen(method)]
    fn close(this: &Connection);

    #[wasm_bindgen(catch, js_name = postMail)]
    async fn post_mail(url: &str, token: Option<&str>, body: &str, limit_ms: u32) -> Result<JsValue, JsValue>;
}

/// How long one try may take, in milliseconds.
const TRY_MS: u32 = 20_000;
/// How long after a failure that may pass it is tried once more, in milliseconds.
const RETRY_AFTER_MS: u64 = 2000;

/// What it takes to send a mail once the request has been answered.
pub(crate) struct Posting {
    config: Rc<Config>,
}

impl Posting {
    /// For this request.
    pub(crate) fn new(context: &RequestContext) -> Self {
        Self { config: Rc::clone(&context.config) }
    }

    /// Sends a mail; once more after a failure that may pass. That it failed for good is logged.
    pub(crate) async fn send(self, to: Email, notice: Notice) {
        let Some(mailer) = &self.config.mailer else { return };
        let message = Message::new(to, &notice, self.config.lives.code_secs);
        let mut outcome = send(mailer, &message).await;
        if outcome.is_err_and(|failure| failure.is_transient) {
            runtime::sleep(RETRY_AFTER_MS).await;
            outcome = send(mailer, &message).await;
        }
        if let Err(Failure { stage, code, .. }) = outcome {
            log::internal("mail", &format!("not sent: {stage} {code}"));
        }
    }
}

/// Sends a mail behind the answer.
pub(crate) fn post(context: &RequestContext, to: Email, notice: Notice) {
    let posting = Posting::new(context);
    context.ctx.wait_until(posting.send(to, notice));
}

async fn send(mailer: &Mailer, message: &Message) -> Result<(), Failure> {
    match mailer {
        Mailer::Log => {
            log::development_mail(message.to.as_str(), message.text());
            Ok(())
        }
        Mailer::Smtp(server) => submit(server, message).await,
        Mailer::Http(api) => post_to(api, message).await,
    }
}

async fn post_to(api: &Api, message: &Message) -> Result<(), Failure> {
    let token = api.token.as_ref().map(comind::secret::Secret::expose);
    let status = post_mail(&api.url, token, &message.to_api_json(&api.from), TRY_MS).await;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a status has three digits")]
    let status = status.ok().and_then(|status| status.as_f64()).unwrap_or(0.0) as u16;
    match status {
        200..=299 => Ok(()),
        code => Err(Failure { stage: "API", code, is_transient: matches!(code, 0 | 429 | 500..) }),
    }
}

async fn submit(server: &Server, message: &Message) -> Result<(), Failure> {
    const NO_CONNECTION: Failure = Failure { stage: "connection", code: 0, is_transient: true };
    let transport = match server.security {
        Security::Tls => "on",
        Security::StartTls => "starttls",
        Security::None => "off",
    };
    let connection = Connection::open(&server.host, server.port, transport, TRY_MS).map_err(|_| NO_CONNECTION)?;
    let outcome =
        converse(&connection, Dialogue::new(server, message, runtime::now_secs(), &runtime::random_id())).await;
    connection.close();
    outcome.unwrap_or(Err(NO_CONNECTION))
}

/// The dialogue over a connection. The outer failure is the connection's.
async fn converse(connection: &Connection, mut dialogue: Dialogue<'_>) -> Result<Result<(), Failure>, JsValue> {
    loop {
        let received: Uint8Array = connection.read().await?.unchecked_into();
        let mut step = dialogue.receive(&received.to_vec());
        if matches!(step, Step::StartTls) {
            connection.start_tls()?;
            step = dialogue.secured();
        }
        match step {
            Step::Read | Step::StartTls => {}
            Step::Send(text) => {
                connection.write(text.expose()).await?;
            }
            Step::Done => {
                // The mail is theirs; whether they hear the goodbye does not matter.
                let _ = connection.write("QUIT\r\n").await;
                return Ok(Ok(()));
            }
            Step::Failed(failure) => return Ok(Err(failure)),
        }
    }
}

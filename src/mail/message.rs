//! What a mail says (RFC 5322).

use alloc::format;
use alloc::string::String;

use crate::account::{Email, OneTimeCode};
use crate::date::to_rfc_5322;
use crate::types::to_json;

/// What a mail is about.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A code to confirm an address with.
    Registration(OneTimeCode),
    /// Somebody tried to register an address that has an account.
    AlreadyRegistered,
    /// A code to set a new password with.
    PasswordReset(OneTimeCode),
}

impl Notice {
    const fn subject(&self) -> &'static str {
        match self {
            Self::Registration(_) => "Confirm your e-mail address",
            Self::AlreadyRegistered => "You have an account already",
            Self::PasswordReset(_) => "Set a new password",
        }
    }

    fn text(&self, code_secs: u64) -> String {
        let minutes = code_secs.div_ceil(60);
        match self {
            Self::Registration(code) => format!(
                "Hello,\n\nhere is the code to confirm your address and make your account:\n\n{}\n\n\
                 It is good for {minutes} minutes. If you did not ask for an account, do nothing: without the\n\
                 code nobody can make one. Give it to nobody.\n",
                code.expose()
            ),
            Self::AlreadyRegistered => {
                "Hello,\n\nsomebody, perhaps you, asked for an account for this address. It has one \
                 already.\nIf it was you, sign in, or set a new password if you have forgotten yours.\n\
                 If it was not, do nothing: your account is as it was.\n"
                    .into()
            }
            Self::PasswordReset(code) => format!(
                "Hello,\n\nhere is the code to set a new password:\n\n{}\n\n\
                 It is good for {minutes} minutes. If you did not ask for it, do nothing: your password is as it\n\
                 was. Give the code to nobody.\n",
                code.expose()
            ),
        }
    }
}

/// A mail.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who gets it.
    pub to: Email,
    subject: &'static str,
    text: String,
}

impl Message {
    /// The mail of a notice; `code_secs` is how long a code lives.
    #[must_use]
    pub fn new(to: Email, notice: &Notice, code_secs: u64) -> Self {
        Self { to, subject: notice.subject(), text: notice.text(code_secs) }
    }

    /// Its text, for the log of a developer.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As an HTTP mail API takes it.
    #[must_use]
    pub fn to_api_json(&self, from: &Email) -> String {
        format!(
            r#"{{"from":{},"to":[{}],"subject":{},"text":{}}}"#,
            to_json(&from.as_str()),
            to_json(&self.to.as_str()),
            to_json(&self.subject),
            to_json(&self.text)
        )
    }

    /// As a mail server takes it, from the first header to the dot (RFC 5321 §4.5.2).
    ///
    /// No header holds anything but addresses, which have neither blanks nor controls, and our own
    /// words in ASCII.
    #[must_use]
    pub fn to_internet_message(&self, from: &Email, now_unix_secs: u64, id: &str) -> String {
        let domain = domain_of(from);
        let mut message = format!(
            "From: <{}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{id}@{domain}>\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
            from.as_str(),
            self.to.as_str(),
            self.subject,
            to_rfc_5322(now_unix_secs),
        );
        for line in self.text.lines() {
            if line.starts_with('.') {
                message.push('.');
            }
            message.push_str(line);
            message.push_str("\r\n");
        }
        message.push_str(".\r\n");
        message
    }
}

pub(super) fn domain_of(email: &Email) -> &str {
    email.as_str().rsplit_once('@').map_or("localhost", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> Email {
        Email::parse(text).unwrap()
    }

    #[test]
    fn a_mail_has_its_headers_its_code_and_its_end() {
        let code = OneTimeCode::parse("012345").unwrap();
        let message = Message::new(email("ann@example.com"), &Notice::Registration(code), 900);
        let text = message.to_internet_message(&email("edge@b.example"), 1_795_383_721, "id");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            head,
            "From: <edge@b.example>\r\nTo: <ann@example.com>\r\nSubject: Confirm your e-mail address\r\n\
             Date: Sun, 22 Nov 2026 21:42:01 +0000\r\nMessage-ID: <id@b.example>\r\nAuto-Submitted: auto-generated\r\n\
             MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit"
        );
        assert!(body.contains("\r\n012345\r\n") && body.contains("15 minutes"));
        assert!(body.ends_with("\r\n.\r\n") && body.matches("\r\n.\r\n").count() == 1);
        assert!(text.is_ascii() && text.split("\r\n").all(|line| line.len() <= 100 && !line.contains(['\r', '\n'])));
    }

    #[test]
    fn every_notice_is_plain_and_only_those_with_a_code_show_one() {
        let code = OneTimeCode::parse("987654").unwrap();
        for (notice, has_code) in [
            (Notice::Registration(code.clone()), true),
            (Notice::PasswordReset(code), true),
            (Notice::AlreadyRegistered, false),
        ] {
            assert!(notice.subject().is_ascii() && notice.text(60).is_ascii());
            assert_eq!(notice.text(61).contains("987654"), has_code);
        }
    }

    #[test]
    fn a_dot_at_the_start_of_a_line_is_doubled() {
        let message = Message { to: email("a@b"), subject: "s", text: ".\n..x\ny".into() };
        assert!(message.to_internet_message(&email("a@b"), 0, "i").ends_with("\r\n\r\n..\r\n...x\r\ny\r\n.\r\n"));
    }

    #[test]
    fn the_api_gets_json() {
        let message = Message { to: email("a@b"), subject: "s", text: "x\n\"y\"".into() };
        assert_eq!(
            message.to_api_json(&email("e@b")),
            r#"{"from":"e@b","to":["a@b"],"subject":"s","text":"x\n\"y\""}"#
        );
    }
}

//! Mails with one-time codes: what they say, where they go, and the dialogue with a mail server.
//!
//! Ours because what there is for Workers goes on in the clear when a server does not offer STARTTLS,
//! and the crates for SMTP bring sockets and an executor of their own.

mod message;
mod smtp;

pub use message::{Message, Notice};
pub use smtp::{Dialogue, Failure, Step};

use alloc::string::String;

use crate::account::Email;
use crate::secret::Secret;

/// Where mails go: `MAIL_URL` and what belongs to it.
#[derive(Debug)]
pub enum Mailer {
    /// To the log: for development.
    Log,
    /// To a mail server, by submission (RFC 6409).
    Smtp(Server),
    /// To an HTTP mail API: `{"from","to":["…"],"subject","text"}` with a bearer token.
    Http(Api),
}

/// A mail server.
#[derive(Debug)]
pub struct Server {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept secret.
    pub security: Security,
    /// Who signs in there.
    pub credentials: Option<(String, Secret)>,
    /// The sender.
    pub from: Email,
}

/// A mail API.
#[derive(Debug)]
pub struct Api {
    /// Where to post.
    pub url: String,
    /// The bearer token.
    pub token: Option<Secret>,
    /// The sender.
    pub from: Email,
}

/// How a connection to a mail server is kept secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Security {
    /// TLS before anything is said: `smtps://`, port 465 (RFC 8314 §3.3).
    Tls,
    /// TLS after the greeting, and nothing else if the server has none: `smtp://`, port 587 (RFC 3207).
    StartTls,
    /// None: `smtp+plain://`, on this machine only.
    None,
}

/// A setting that will not do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Complaint {
    /// The variable.
    pub variable: &'static str,
    /// The rest of a sentence that begins with it.
    pub sentence: &'static str,
}

fn complain<T>(variable: &'static str, sentence: &'static str) -> Result<T, Complaint> {
    Err(Complaint { variable, sentence })
}

impl Mailer {
    /// Reads `MAIL_URL`, `MAIL_FROM`, `MAIL_USERNAME` and `MAIL_PASSWORD`.
    ///
    /// ```
    /// # use comind::mail::Mailer;
    /// assert!(matches!(Mailer::parse("log:", "", None, None), Ok(Mailer::Log)));
    /// assert!(matches!(Mailer::parse("smtp://mail.example.com", "a@example.com", None, None), Ok(Mailer::Smtp(_))));
    /// ```
    ///
    /// # Errors
    ///
    /// [`Complaint`], which shows no value.
    pub fn parse(url: &str, from: &str, username: Option<String>, password: Option<Secret>) -> Result<Self, Complaint> {
        const FORMS: &str =
            "must be `smtp://host:587`, `smtps://host:465`, `https://…` or `log:`, without user or query.";
        if url == "log:" {
            return Ok(Self::Log);
        }
        let Some((scheme, rest)) = url.split_once("://") else { return complain("MAIL_URL", FORMS) };
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\\\"<>`{}|^".contains(&byte);
        if rest.is_empty() || !rest.bytes().all(is_plain) {
            return complain("MAIL_URL", FORMS);
        }
        let Some(from) = Email::parse(from).filter(|from| from.as_str().is_ascii()) else {
            return complain("MAIL_FROM", "must be the sender's e-mail address, in ASCII.");
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let is_here = matches!(host, "localhost" | "127.0.0.1");
        if host.is_empty() || host.contains(':') {
            return complain("MAIL_URL", FORMS);
        }
        let (security, default_port) = match scheme {
            "https" => return Ok(Self::Http(Api { url: url.into(), token: password, from })),
            "http" if is_here => return Ok(Self::Http(Api { url: url.into(), token: password, from })),
            "smtp" => (Security::StartTls, 587),
            "smtps" => (Security::Tls, 465),
            "smtp+plain" if is_here => (Security::None, 25),
            "http" | "smtp+plain" => return complain("MAIL_URL", "may go without TLS on this machine only."),
            _ => return complain("MAIL_URL", FORMS),
        };
        let port = match port.map(str::parse) {
            None => default_port,
            Some(Ok(port)) => port,
            Some(Err(_)) => return complain("MAIL_URL", FORMS),
        };
        if rest.contains('/') {
            return complain("MAIL_URL", FORMS);
        }
        let credentials = match (username, password) {
            (None, None) => None,
            (Some(username), Some(password)) => Some((username, password)),
            (Some(_), None) => return complain("MAIL_PASSWORD", "is not set, though MAIL_USERNAME is."),
            (None, Some(_)) => return complain("MAIL_USERNAME", "is not set, though MAIL_PASSWORD is."),
        };
        Ok(Self::Smtp(Server { host: host.into(), port, security, credentials, from }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Mailer, &'static str> {
        Mailer::parse(url, "a@b.example", None, None).map_err(|complaint| complaint.variable)
    }

    #[test]
    fn servers_have_the_usual_ports() {
        for (url, host, port, security) in [
            ("smtp://mail.example.com", "mail.example.com", 587, Security::StartTls),
            ("smtp://mail.example.com:2525", "mail.example.com", 2525, Security::StartTls),
            ("smtps://mail.example.com", "mail.example.com", 465, Security::Tls),
            ("smtp+plain://127.0.0.1:1025", "127.0.0.1", 1025, Security::None),
        ] {
            let Ok(Mailer::Smtp(server)) = parse(url) else { panic!("{url}") };
            assert_eq!((server.host.as_str(), server.port, server.security), (host, port, security));
        }
        assert!(matches!(parse("https://api.example.com/emails"), Ok(Mailer::Http(_))));
        assert!(matches!(parse("http://localhost:8080/x"), Ok(Mailer::Http(_))));
    }

    #[test]
    fn what_will_not_do_names_its_variable() {
        for url in [
            "",
            "log",
            "smtp://",
            "smtp://:25",
            "smtp://h:x",
            "smtp://h:70000",
            "smtp://u:p@h",
            "smtp://h/path",
            "smtp://h?x",
            "ftp://h",
            "http://api.example.com",
            "http://127.0.0.1.example.com",
            "smtp+plain://mail.example.com",
        ] {
            assert_eq!(parse(url).err(), Some("MAIL_URL"), "{url}");
        }
        let variable = |from, username: Option<&str>, password: Option<&str>| {
            Mailer::parse("smtp://h", from, username.map(Into::into), password.map(Secret::new)).unwrap_err().variable
        };
        assert_eq!(variable("", None, None), "MAIL_FROM");
        assert_eq!(variable("é@b.example", None, None), "MAIL_FROM");
        assert_eq!(variable("a@b.example", Some("u"), None), "MAIL_PASSWORD");
        assert_eq!(variable("a@b.example", None, Some("p")), "MAIL_USERNAME");
    }
}

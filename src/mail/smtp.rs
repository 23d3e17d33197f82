//! The client's side of a mail submission (RFC 5321, 3207, 4954), without a socket.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};

use super::message::domain_of;
use super::{Message, Security, Server};
use crate::secret::Secret;

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Go on reading: the reply is not whole.
    Read,
    /// Send this, then read.
    Send(Secret),
    /// Start TLS on the connection, then call [`Dialogue::secured`].
    StartTls,
    /// The server has taken the mail. Say `QUIT` if you like, and close.
    Done,
    /// It has not, and will not.
    Failed(Failure),
}

/// Why a mail was not taken. Nothing in it was said by the server but the number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failure {
    /// At which step.
    pub stage: &'static str,
    /// The server's reply code; 0 where it broke off or said nothing of the form.
    pub code: u16,
    /// Whether another try may go better (RFC 5321 §4.2.1: 4yz).
    pub is_transient: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Greeting,
    Hello,
    StartTls,
    AuthPlain,
    AuthLoginUser,
    AuthLoginPassword,
    AuthLoginEnd,
    From,
    To,
    Data,
    End,
}

/// One mail on its way to one server.
///
/// Commands are never sent ahead of their replies, so whatever stands behind a reply was not asked for:
/// it is refused. That is also what keeps words said before TLS from being heard after it.
#[derive(Debug)]
pub struct Dialogue<'a> {
    server: &'a Server,
    message: &'a Message,
    data: String,
    state: State,
    is_secure: bool,
    received: Vec<u8>,
}

/// The longest reply that is read, in bytes: that to EHLO has a line for each extension.
const MAX_REPLY_BYTES: usize = 16 * 1024;

impl<'a> Dialogue<'a> {
    /// The dialogue that delivers a mail. `id` is a random word for its Message-ID.
    #[must_use]
    pub fn new(server: &'a Server, message: &'a Message, now_unix_secs: u64, id: &str) -> Self {
        Self {
            server,
            message,
            data: message.to_internet_message(&server.from, now_unix_secs, id),
            state: State::Greeting,
            is_secure: server.security == Security::Tls,
            received: Vec::new(),
        }
    }

    /// Takes what the server sent, split anywhere; empty when it closed the connection.
    pub fn receive(&mut self, bytes: &[u8]) -> Step {
        if bytes.is_empty() {
            return self.fail(0);
        }
        self.received.extend_from_slice(bytes);
        match read_reply(&self.received) {
            Reply::Partial if self.received.len() <= MAX_REPLY_BYTES => Step::Read,
            Reply::Partial | Reply::Malformed => self.fail(0),
            Reply::Whole(code) => {
                let text = core::mem::take(&mut self.received);
                self.handle(code, &String::from_utf8_lossy(&text))
            }
        }
    }

    /// TLS has been started: what the server offers is asked for anew.
    pub fn secured(&mut self) -> Step {
        self.is_secure = true;
        self.received.clear();
        self.say_hello()
    }

    fn handle(&mut self, code: u16, text: &str) -> Step {
        match (self.state, code) {
            (State::Greeting, 220) => self.say_hello(),
            (State::Hello, 250) => self.after_hello(text),
            (State::StartTls, 220) => Step::StartTls,
            (State::AuthLoginUser, 334) => match &self.server.credentials {
                Some((username, _)) => self.send(State::AuthLoginPassword, Base64::encode_string(username.as_bytes())),
                None => self.fail(0),
            },
            (State::AuthLoginPassword, 334) => match &self.server.credentials {
                Some((_, password)) => {
                    self.send(State::AuthLoginEnd, Base64::encode_string(password.expose().as_bytes()))
                }
                None => self.fail(0),
            },
            (State::AuthPlain | State::AuthLoginEnd, 235) => self.say_from(),
            (State::From, 250) => {
                let to = self.message.to.as_str();
                // It would need SMTPUTF8 (RFC 6531), which few servers take.
                if to.is_ascii() { self.send(State::To, format!("RCPT TO:<{to}>")) } else { self.fail(553) }
            }
            (State::To, 250 | 251) => self.send(State::Data, "DATA".to_string()),
            (State::Data, 354) => {
                self.state = State::End;
                Step::Send(Secret::new(core::mem::take(&mut self.data)))
            }
            (State::End, 250) => Step::Done,
            (_, code) => self.fail(code),
        }
    }

    fn after_hello(&mut self, text: &str) -> Step {
        // `250-AUTH PLAIN LOGIN`: the first word is the extension, the rest its arguments.
        let offers = |name: &str| {
            text.lines().filter_map(|line| line.get(4..)).find_map(|line| {
                let mut words = line.split([' ', '=']);
                words.next().filter(|word| word.eq_ignore_ascii_case(name)).map(|_| words.collect::<Vec<_>>())
            })
        };
        if !self.is_secure && self.server.security == Security::StartTls {
            return if offers("STARTTLS").is_some() {
                self.send(State::StartTls, "STARTTLS".to_string())
            } else {
                self.state = State::StartTls;
                self.fail(502)
            };
        }
        let Some((username, password)) = &self.server.credentials else { return self.say_from() };
        let methods = offers("AUTH").unwrap_or_default();
        let has = |method: &str| methods.iter().any(|offered| offered.eq_ignore_ascii_case(method));
        if has("PLAIN") {
            let plain = Secret::new(format!("\0{username}\0{}", password.expose()));
            self.send(State::AuthPlain, format!("AUTH PLAIN {}", Base64::encode_string(plain.expose().as_bytes())))
        } else if has("LOGIN") {
            self.send(State::AuthLoginUser, "AUTH LOGIN".to_string())
        } else {
            self.state = State::AuthPlain;
            self.fail(504)
        }
    }

    fn say_hello(&mut self) -> Step {
        self.send(State::Hello, format!("EHLO {}", domain_of(&self.server.from)))
    }

    fn say_from(&mut self) -> Step {
        self.send(State::From, format!("MAIL FROM:<{}>", self.server.from.as_str()))
    }

    fn send(&mut self, state: State, mut line: String) -> Step {
        self.state = state;
        line.push_str("\r\n");
        Step::Send(Secret::new(line))
    }

    fn fail(&self, code: u16) -> Step {
        let stage = match self.state {
            State::Greeting => "greeting",
            State::Hello => "EHLO",
            State::StartTls => "STARTTLS",
            State::AuthPlain | State::AuthLoginUser | State::AuthLoginPassword | State::AuthLoginEnd => "AUTH",
            State::From => "MAIL FROM",
            State::To => "RCPT TO",
            State::Data | State::End => "DATA",
        };
        Step::Failed(Failure { stage, code, is_transient: code == 0 || code / 100 == 4 })
    }
}

enum Reply {
    Partial,
    Whole(u16),
    Malformed,
}

/// `250-first\r\n250 last\r\n` (RFC 5321 §4.2): the code, once the last line is whole and nothing is behind it.
fn read_reply(bytes: &[u8]) -> Reply {
    let mut rest = bytes;
    let mut first = None;
    loop {
        let Some(end) = memchr::memchr(b'\n', rest) else { return Reply::Partial };
        let Some((line, behind)) = rest.split_at_checked(end + 1) else { return Reply::Malformed };
        let code = match line {
            [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
                u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
            }
            _ => return Reply::Malformed,
        };
        if *first.get_or_insert(code) != code {
            return Reply::Malformed;
        }
        match line.get(3) {
            Some(b'-') => rest = behind,
            Some(b' ' | b'\r' | b'\n') if behind.is_empty() => return Reply::Whole(code),
            _ => return Reply::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Email, OneTimeCode};
    use crate::mail::{Mailer, Notice};

    fn server(url: &str, with_password: bool) -> Server {
        let (username, password) = ("u", Secret::new("p"));
        let credentials = with_password.then_some((username, password));
        let (username, password) = credentials.unzip();
        match Mailer::parse(url, "edge@b.example", username.map(Into::into), password) {
            Ok(Mailer::Smtp(server)) => server,
            other => panic!("{other:?}"),
        }
    }

    fn message(to: &str) -> Message {
        let code = OneTimeCode::parse("123456").unwrap();
        Message::new(Email::parse(to).unwrap(), &Notice::PasswordReset(code), 900)
    }

    /// Runs a dialogue against replies; gives what was sent, and how it ended.
    fn run(server: &Server, to: &str, replies: &[&str]) -> (Vec<String>, String) {
        let message = message(to);
        let mut dialogue = Dialogue::new(server, &message, 0, "id");
        let mut sent = Vec::new();
        for reply in replies {
            let mut step = dialogue.receive(reply.as_bytes());
            loop {
                match step {
                    Step::Read => break,
                    Step::Send(line) => {
                        sent.push(line.expose().lines().next().unwrap_or_default().to_string());
                        break;
                    }
                    Step::StartTls => {
                        sent.push("(TLS)".into());
                        step = dialogue.secured();
                    }
                    Step::Done => return (sent, "done".into()),
                    Step::Failed(Failure { stage, code, is_transient }) => {
                        return (sent, format!("{stage} {code}{}", if is_transient { ", for now" } else { "" }));
                    }
                }
            }
        }
        (sent, "waiting".into())
    }

    #[test]
    fn a_mail_is_delivered_over_starttls_with_a_password() {
        let (sent, end) = run(
            &server("smtp://h", true),
            "ann@example.com",
            &[
                "220 hello\r\n",
                "250-h\r\n250-STARTTLS\r\n250 AUTH LOGIN\r\n",
                "220 go\r\n",
                "250-h\r\n250 AUTH LOGIN PLAIN\r\n",
                "235 ok\r\n",
                "250 ok\r\n",
                "25",
                "0 ok\r",
                "\n",
                "354 go\r\n",
                "250 taken\r\n",
            ],
        );
        assert_eq!(
            sent,
            [
                "EHLO b.example",
                "STARTTLS",
                "(TLS)",
                "EHLO b.example",
                "AUTH PLAIN AHUAcA==",
                "MAIL FROM:<edge@b.example>",
                "RCPT TO:<ann@example.com>",
                "DATA",
                "From: <edge@b.example>",
            ]
        );
        assert_eq!(end, "done");
    }

    #[test]
    fn login_is_used_where_plain_is_not_offered() {
        let replies =
            ["220 h\r\n", "250-h\r\n250 AUTH=LOGIN\r\n", "334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", "235 ok\r\n"];
        let (sent, end) = run(&server("smtps://h", true), "a@b", &replies);
        assert_eq!(sent[1..], ["AUTH LOGIN", "dQ==", "cA==", "MAIL FROM:<edge@b.example>"]);
        assert_eq!(end, "waiting");
    }

    #[test]
    fn without_starttls_nothing_is_said() {
        let (sent, end) = run(&server("smtp://h", true), "a@b", &["220 h\r\n", "250-h\r\n250 AUTH PLAIN\r\n"]);
        assert_eq!((sent.as_slice(), end.as_str()), (["EHLO b.example".to_string()].as_slice(), "STARTTLS 502"));
    }

    #[test]
    fn words_slipped_in_before_tls_are_not_heard() {
        let replies = ["220 h\r\n", "250-h\r\n250 STARTTLS\r\n", "220 go\r\n250-h\r\n250 AUTH PLAIN\r\n"];
        assert_eq!(run(&server("smtp://h", true), "a@b", &replies).1, "STARTTLS 0, for now");
    }

    #[test]
    fn each_refusal_names_its_stage_and_says_whether_to_try_again() {
        let open = server("smtps://h", false);
        for (replies, end) in [
            (["554 no"].as_slice(), "greeting 554"),
            (&["421 busy"], "greeting 421, for now"),
            (&["220 h", "502 no"], "EHLO 502"),
            (&["220 h", "250 h", "550 no"], "MAIL FROM 550"),
            (&["220 h", "250 h", "250 ok", "450 later"], "RCPT TO 450, for now"),
            (&["220 h", "250 h", "250 ok", "250 ok", "554 no"], "DATA 554"),
            (&["220 h", "250 h", "250 ok", "250 ok", "354 go", "452 full"], "DATA 452, for now"),
            (&["220 h", "354 go"], "EHLO 354"),
            (&["hello"], "greeting 0, for now"),
            (&["250-a\r\n220 b"], "greeting 0, for now"),
            (&["99 a"], "greeting 0, for now"),
        ] {
            let lines: Vec<String> = replies.iter().map(|reply| format!("{reply}\r\n")).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(run(&open, "a@b", &lines).1, end);
        }
        let (_, end) = run(&server("smtps://h", true), "a@b", &["220 h\r\n", "250 h\r\n"]);
        assert_eq!(end, "AUTH 504");
        let (_, end) = run(&open, "é@b", &["220 h\r\n", "250 h\r\n", "250 ok\r\n"]);
        assert_eq!(end, "MAIL FROM 553");
    }

    #[test]
    fn a_server_that_closes_or_never_ends_is_given_up() {
        let (open, message) = (server("smtps://h", false), message("a@b"));
        let mut dialogue = Dialogue::new(&open, &message, 0, "id");
        assert!(matches!(dialogue.receive(b""), Step::Failed(Failure { code: 0, .. })));
        let mut dialogue = Dialogue::new(&open, &message, 0, "id");
        for _ in 0..MAX_REPLY_BYTES / 8 {
            assert!(matches!(dialogue.receive(b"220-aaa\n"), Step::Read));
        }
        assert!(matches!(dialogue.receive(b"220-aaa\n"), Step::Failed(_)));
    }
}

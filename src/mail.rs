//! Mails with one-time codes.

use alloc::format;
use alloc::string::String;

use crate::account::OneTimeCode;
use crate::secret::Secret;

/// Where mails go.
#[derive(Debug)]
pub enum Mailer {
    /// To the log: for development.
    Log,
}

/// A setting that will not do.
#[derive(Debug)]
pub struct Complaint {
    /// The variable.
    pub variable: &'static str,
    /// The rest of a sentence that begins with it.
    pub sentence: &'static str,
}

impl Mailer {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Complaint`].
    pub fn parse(url: &str, _from: &str, _user: Option<String>, _password: Option<Secret>) -> Result<Self, Complaint> {
        match url {
            "log:" => Ok(Self::Log),
            _ => Err(Complaint { variable: "MAIL_URL", sentence: "must be `log:`." }),
        }
    }
}

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
    /// The text of the mail.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Registration(code) => format!("Your code to confirm this address:\n\n{}\n", code.expose()),
            Self::PasswordReset(code) => format!("Your code to set a new password:\n\n{}\n", code.expose()),
            Self::AlreadyRegistered => "Somebody tried to register this address, which has an account.".into(),
        }
    }
}

//! What is written down: every change, who made it, and nothing secret.

use std::fmt;

use crate::id::{CredentialId, TokenId};

/// Who did it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Actor {
    /// The holder of a bearer token.
    Token(TokenId),
    /// The server's own command line.
    Local,
    /// Somebody without a valid token.
    Anonymous,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => write!(f, "token:{id}"),
            Self::Local => f.write_str("local"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])+ $name:ident = $text:literal;)+) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Action {
            $($(#[$doc])+ $name,)+
        }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As it stands in the record; never changes.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

actions! {
    /// The store was created.
    StoreCreated = "store.created";
    /// An account was created.
    AccountCreated = "account.created";
    /// An account was disabled.
    AccountDisabled = "account.disabled";
    /// An account was enabled.
    AccountEnabled = "account.enabled";
    /// An account was deleted.
    AccountDeleted = "account.deleted";
    /// An enrolment was created.
    EnrolmentCreated = "enrollment.created";
    /// The secrets of a pending enrolment were handed out again.
    EnrolmentRepeated = "enrollment.repeated";
    /// An enrolment was confirmed: the key validates from now on.
    EnrolmentConfirmed = "enrollment.confirmed";
    /// An enrolment was given up.
    EnrolmentAbandoned = "enrollment.abandoned";
    /// An enrolment was not confirmed in time.
    EnrolmentExpired = "enrollment.expired";
    /// A key was disabled.
    KeyDisabled = "key.disabled";
    /// A key was enabled.
    KeyEnabled = "key.enabled";
    /// A key was deleted; its counters stay.
    KeyDeleted = "key.deleted";
    /// A key was given to another account.
    KeyReassigned = "key.reassigned";
    /// A key was given another label.
    KeyRelabelled = "key.relabelled";
    /// Somebody read a slot's access code.
    AccessCodeRead = "key.access_code_read";
    /// The key that bundles are encrypted to was drawn.
    BundleKeyCreated = "bundle.key_created";
    /// The records of a station's bundle were imported.
    BundleImported = "bundle.imported";
    /// A record of a bundle became a pending credential.
    KeyImported = "key.imported";
    /// A record of a bundle became an active key on the station's word.
    KeyTrusted = "key.trusted";
    /// A client of the validation protocol was created.
    ClientCreated = "client.created";
    /// A client was disabled.
    ClientDisabled = "client.disabled";
    /// A client was enabled.
    ClientEnabled = "client.enabled";
    /// A client was deleted.
    ClientDeleted = "client.deleted";
    /// A bearer token was created.
    TokenCreated = "token.created";
    /// A bearer token was revoked.
    TokenRevoked = "token.revoked";
    /// Requests without a valid token, at most one event in ten seconds.
    AuthenticationFailed = "auth.failed";
}

/// One event, before it is written down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Who did it.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// The name of the account it was done to or for.
    pub account: Option<String>,
    /// The key it was done to.
    pub key: Option<CredentialId>,
    /// The id of anything else it was done to.
    pub subject: Option<String>,
    /// More, for people to read.
    pub detail: Option<String>,
}

impl Event {
    /// An event with nothing but actor and action.
    #[must_use]
    pub const fn new(actor: Actor, action: Action) -> Self {
        Self { actor, action, account: None, key: None, subject: None, detail: None }
    }

    /// Names the account.
    #[must_use]
    pub fn account(mut self, name: impl fmt::Display) -> Self {
        self.account = Some(name.to_string());
        self
    }

    /// Names the key.
    #[must_use]
    pub const fn key(mut self, id: CredentialId) -> Self {
        self.key = Some(id);
        self
    }

    /// Names what else it was done to.
    #[must_use]
    pub fn subject(mut self, id: impl fmt::Display) -> Self {
        self.subject = Some(id.to_string());
        self
    }

    /// Says more.
    #[must_use]
    pub fn detail(mut self, text: impl fmt::Display) -> Self {
        self.detail = Some(text.to_string());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn actions_have_names_of_their_own() {
        let names: HashSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        assert!(names.iter().all(|name| name.contains('.')));
    }

    #[test]
    fn actors() {
        assert_eq!(Actor::Token(TokenId::new(10)).to_string(), "token:000000000000000a");
        assert_eq!([Actor::Local, Actor::Anonymous].map(|a| a.to_string()), ["local", "anonymous"]);
    }
}

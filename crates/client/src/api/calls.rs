//! Every request of the interface.

use tapkey_api::{
    Page,
    accounts::{Account, CreateAccount, Verified, Verify},
    audit::Event,
    clients::{self, ClientCreated, CreateClient},
    enrollments::{ConfirmEnrollment, CreateEnrollment, Enrollment, EnrollmentSecrets},
    imports::{BundleKey, ImportBundle, ImportReport},
    keys::{AccessCode, Key, UpdateKey},
    status::Status,
    tokens::{CreateToken, Token, TokenCreated},
};

use super::{AuditFilter, Client, Error, KeyFilter, PageRequest, list::Query};

/// Enrolments.
impl Client {
    /// Asks for a new credential. Repeating a request (same request id) repeats the answer, as
    /// long as the enrolment is pending.
    ///
    /// # Errors
    /// [`Error`]; among the problems are an unknown account, a public id that is taken, and
    /// software keys refused by policy.
    pub async fn create_enrollment(&self, request: &CreateEnrollment) -> Result<EnrollmentSecrets, Error> {
        self.post(&["enrollments"], request).await
    }

    /// Where an enrolment stands.
    ///
    /// # Errors
    /// [`Error`]; an enrolment of another token counts as not found.
    pub async fn enrollment(&self, id: &str) -> Result<Enrollment, Error> {
        self.get(&["enrollments", id], Query::default()).await
    }

    /// Activates a credential with a password that its key typed. Repeating with the same password
    /// repeats the answer.
    ///
    /// # Errors
    /// [`Error`]; among the problems are a password that is wrong, replayed or too late.
    pub async fn confirm_enrollment(&self, id: &str, otp: &str) -> Result<Key, Error> {
        self.post(&["enrollments", id, "confirm"], &ConfirmEnrollment { otp: otp.trim().to_owned() }).await
    }

    /// Activates the pending credential whose public id a password begins with. Repeating with the
    /// same password repeats the answer.
    ///
    /// # Errors
    /// [`Error`]; among the problems are that nothing waits for this password, and one that is wrong
    /// or replayed.
    pub async fn confirm_by_password(&self, otp: &str) -> Result<Key, Error> {
        self.post(&["enrollments", "confirm"], &ConfirmEnrollment { otp: otp.trim().to_owned() }).await
    }

    /// Reads the access code that was drawn for an enrolment, also after it was abandoned or has
    /// expired: the slot may be protected with it. Audited.
    ///
    /// # Errors
    /// [`Error`]; among the problems is that none was drawn.
    pub async fn enrollment_access_code(&self, id: &str) -> Result<AccessCode, Error> {
        self.get(&["enrollments", id, "access-code"], Query::default()).await
    }

    /// Gives an enrolment up. Its credential will never validate.
    ///
    /// # Errors
    /// [`Error`]; one that is confirmed cannot be abandoned.
    pub async fn abandon_enrollment(&self, id: &str) -> Result<(), Error> {
        self.delete(&["enrollments", id]).await
    }
}

/// Bundles of provisioning stations.
impl Client {
    /// The public key that bundles for this server are encrypted to.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn bundle_key(&self) -> Result<BundleKey, Error> {
        self.get(&["bundle-key"], Query::default()).await
    }

    /// Imports a bundle, or finds out what importing it would do. Look at
    /// [`ImportReport::applied`]: a record that is refused is no error, but keeps all from being
    /// imported.
    ///
    /// # Errors
    /// [`Error`]; among the problems are a bundle that is damaged or meant for another server.
    pub async fn import_bundle(&self, request: &ImportBundle) -> Result<ImportReport, Error> {
        self.post(&["imports"], request).await
    }
}

/// Accounts.
impl Client {
    /// Creates an account.
    ///
    /// # Errors
    /// [`Error`]; among the problems is an account that exists.
    pub async fn create_account(&self, name: &str) -> Result<Account, Error> {
        self.post(&["accounts"], &CreateAccount { name: name.to_owned() }).await
    }

    /// One page of all accounts.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn accounts(&self, page: PageRequest) -> Result<Page<Account>, Error> {
        self.get(&["accounts"], page.into_query()).await
    }

    /// One account.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn account(&self, name: &str) -> Result<Account, Error> {
        self.get(&["accounts", name], Query::default()).await
    }

    /// Stops all keys of an account from validating.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn disable_account(&self, name: &str) -> Result<Account, Error> {
        self.act(&["accounts", name, "disable"]).await
    }

    /// Lets them validate again.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn enable_account(&self, name: &str) -> Result<Account, Error> {
        self.act(&["accounts", name, "enable"]).await
    }

    /// Deletes an account that owns no keys.
    ///
    /// # Errors
    /// [`Error`]; among the problems are keys that it still owns.
    pub async fn delete_account(&self, name: &str) -> Result<(), Error> {
        self.delete(&["accounts", name]).await
    }

    /// Asks whether a password comes from one of the account's keys. Only
    /// [`VerifyStatus::Ok`](tapkey_api::accounts::VerifyStatus::Ok) lets anybody in.
    ///
    /// # Errors
    /// [`Error`]: there is no verdict, and nothing is known about the password.
    pub async fn verify(&self, account: &str, otp: &str) -> Result<Verified, Error> {
        self.post(&["accounts", account, "verify"], &Verify { otp: otp.trim().to_owned() }).await
    }
}

/// Keys.
impl Client {
    /// One page of the keys that fit.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn keys(&self, filter: KeyFilter, page: PageRequest) -> Result<Page<Key>, Error> {
        let mut query = page.into_query();
        query.add("account", filter.account);
        query.add("public_id", filter.public_id);
        self.get(&["keys"], query).await
    }

    /// One key.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn key(&self, id: &str) -> Result<Key, Error> {
        self.get(&["keys", id], Query::default()).await
    }

    /// Changes a key's label or owner.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn update_key(&self, id: &str, change: &UpdateKey) -> Result<Key, Error> {
        self.patch(&["keys", id], change).await
    }

    /// Stops a key from validating.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn disable_key(&self, id: &str) -> Result<Key, Error> {
        self.act(&["keys", id, "disable"]).await
    }

    /// Lets it validate again.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn enable_key(&self, id: &str) -> Result<Key, Error> {
        self.act(&["keys", id, "enable"]).await
    }

    /// Deletes a key. Its counters outlive it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn delete_key(&self, id: &str) -> Result<(), Error> {
        self.delete(&["keys", id]).await
    }

    /// Reads the stored access code of a key's slot; audited.
    ///
    /// # Errors
    /// [`Error`]; among the problems is that none is stored.
    pub async fn access_code(&self, id: &str) -> Result<AccessCode, Error> {
        self.get(&["keys", id, "access-code"], Query::default()).await
    }
}

/// Clients of the validation protocol.
impl Client {
    /// Creates a client; its API key is shown this once.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn create_client(&self, request: &CreateClient) -> Result<ClientCreated, Error> {
        self.post(&["clients"], request).await
    }

    /// One page of all clients.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn clients(&self, page: PageRequest) -> Result<Page<clients::Client>, Error> {
        self.get(&["clients"], page.into_query()).await
    }

    /// Stops answering a client.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn disable_client(&self, id: u64) -> Result<clients::Client, Error> {
        self.act(&["clients", &id.to_string(), "disable"]).await
    }

    /// Answers it again.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn enable_client(&self, id: u64) -> Result<clients::Client, Error> {
        self.act(&["clients", &id.to_string(), "enable"]).await
    }

    /// Deletes a client. Its number is never given again.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn delete_client(&self, id: u64) -> Result<(), Error> {
        self.delete(&["clients", &id.to_string()]).await
    }
}

/// Bearer tokens, audit events and the server itself.
impl Client {
    /// Creates a token; it is shown this once.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn create_token(&self, request: &CreateToken) -> Result<TokenCreated, Error> {
        self.post(&["tokens"], request).await
    }

    /// One page of all tokens.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn tokens(&self, page: PageRequest) -> Result<Page<Token>, Error> {
        self.get(&["tokens"], page.into_query()).await
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// [`Error`]; the last administrator's token is refused.
    pub async fn revoke_token(&self, id: &str) -> Result<(), Error> {
        self.delete(&["tokens", id]).await
    }

    /// One page of the audit events that fit, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn audit(&self, filter: AuditFilter, page: PageRequest) -> Result<Page<Event>, Error> {
        let mut query = page.into_query();
        query.add("action", filter.action);
        query.add("account", filter.account);
        query.add("key", filter.key);
        query.add("actor", filter.actor);
        query.add("since", filter.since);
        query.add("until", filter.until);
        self.get(&["audit"], query).await
    }

    /// What the server is and holds.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn status(&self) -> Result<Status, Error> {
        self.get(&["status"], Query::default()).await
    }
}

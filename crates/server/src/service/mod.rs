//! What the server does, whichever way it is asked.

mod bearer;
mod bundle;
mod cache;
mod validator;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use bearer::{Bearers, Caller, new_token};
pub(crate) use bundle::{BundleError, Opened, Title, open as open_bundle};
use tapkey_domain::{
    audit::{Action, Actor, Event},
    id::TenantId,
};
pub(crate) use validator::{Validator, Verdict};

use crate::{
    Clock,
    config::{Limits, Policy, Validation},
    store::{Scope, Store},
};

/// One running server's state.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) validator: Validator,
    pub(crate) bearers: Bearers,
    pub(crate) clock: Clock,
    pub(crate) policy: Policy,
    pub(crate) validation: Validation,
    pub(crate) limits: Limits,
    failures: Failures,
}

/// Requests without a valid token since the last time that was written down.
#[derive(Debug, Default)]
struct Failures {
    count: AtomicU64,
    /// When the next event may be written, in milliseconds since 1970.
    next: AtomicU64,
}

/// At most one event about failed authentication in this time: the record must not grow at the
/// pace of an attacker.
const FAILURE_EVENT_MILLIS: u64 = 10_000;

impl Service {
    pub(crate) fn new(
        store: Store,
        clock: Clock,
        policy: Policy,
        validation: Validation,
        limits: Limits,
    ) -> Self {
        Self {
            validator: Validator::new(limits.cached_keys, validation.delayed),
            bearers: Bearers::new(),
            store,
            clock,
            policy,
            validation,
            limits,
            failures: Failures::default(),
        }
    }

    /// A change that the server makes of its own accord.
    pub(crate) fn local_scope(&self) -> Scope {
        Scope { tenant: TenantId::DEFAULT, actor: Actor::Local, now: self.clock.now() }
    }

    /// Writes down that somebody came without a valid token.
    pub(crate) async fn authentication_failed(&self) {
        let now = self.clock.now();
        let count = self.failures.count.fetch_add(1, Ordering::Relaxed) + 1;
        let next = self.failures.next.load(Ordering::Relaxed);
        let due = now.as_millis() >= next
            && self
                .failures
                .next
                .compare_exchange(
                    next,
                    now.as_millis() + FAILURE_EVENT_MILLIS,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if !due {
            return;
        }
        self.failures.count.fetch_sub(count, Ordering::Relaxed);
        let scope = Scope { tenant: TenantId::DEFAULT, actor: Actor::Anonymous, now };
        let event = Event::new(Actor::Anonymous, Action::AuthenticationFailed)
            .detail(format_args!("{count} since the last event"));
        if let Err(error) = self.store.record_event(scope, event).await {
            tracing::error!(%error, "an audit event could not be written");
        }
    }
}

//! `/bundle-key` and `/imports`.

use std::sync::Arc;

use axum::{Extension, extract::State};
use tapkey_api::{
    ProblemCode,
    imports::{BundleKey, ImportBundle, ImportCounts, ImportItem, ImportReport, ImportResult},
};
use tapkey_domain::{policy::KeyPolicy, role::Operation};

use super::{
    super::problem::{Failure, Result},
    Routes,
    extract::{Json, LongJson},
};
use crate::{
    service::{BundleError, Caller, Opened, Service, Title, open_bundle},
    store::{Fate, ImportOutcome, Imported, NewImport},
};

pub(super) fn register(routes: &mut Routes) {
    // Whoever may enrol may also know what to encrypt a bundle to.
    routes.get("/bundle-key", Operation::Enrol, bundle_key);
    routes.post("/imports", Operation::Import, import);
}

type Context = State<Arc<Service>>;
type Who = Extension<Caller>;

async fn bundle_key(State(service): Context, Extension(caller): Who) -> Result<Json<BundleKey>> {
    let scope = caller.scope(service.clock.now());
    let recipient = service.store.bundle_recipient(scope).await?;
    Ok(Json(BundleKey { recipient }))
}

async fn import(
    State(service): Context,
    Extension(caller): Who,
    LongJson(body): LongJson<ImportBundle>,
) -> Result<Json<ImportReport>> {
    let identity = service.store.bundle_identity(caller.tenant).await?;
    let policy = KeyPolicy { accept_emulated: service.policy.accept_emulated };
    let ImportBundle { bundle: text, dry_run, trust_station, create_accounts, accept_unclosed } = body;
    let opening = tokio::task::spawn_blocking(move || open_bundle(&text, identity.as_ref(), policy));
    let opened = opening.await.map_err(|_| Failure::new(ProblemCode::Internal))??;
    if !opened.closed && !accept_unclosed {
        return Err(Failure::new(ProblemCode::BundleUnreadable).detail(
            "the bundle was not closed, so keys may be missing at its end; run the station once more to \
             close it, or say that this is meant",
        ));
    }
    let Opened { bundle, sha256, titles, records, .. } = opened;
    let new = NewImport {
        bundle: bundle.clone(),
        sha256: sha256.clone(),
        caller: caller.enroller(),
        trust_station,
        create_accounts,
        dry_run,
        records,
    };
    let imported = service.store.import(caller.scope(service.clock.now()), new).await?;
    if imported.applied {
        for title in &titles {
            if let Ok(public_id) = title.public_id.parse() {
                service.validator.forget_key(caller.tenant, public_id);
            }
        }
    }
    let (counts, items) = report(titles, &imported);
    let applied = imported.applied;
    Ok(Json(ImportReport { bundle, sha256, dry_run, trusted: trust_station, applied, counts, items }))
}

fn report(titles: Vec<Title>, imported: &Imported) -> (ImportCounts, Vec<ImportItem>) {
    let mut counts = ImportCounts::default();
    let items = titles.into_iter().zip(&imported.outcomes).map(|(title, outcome)| {
        let item = item(title, outcome, imported.applied);
        counts.add(item.result);
        item
    });
    let items = items.collect();
    (counts, items)
}

/// Ids of what was undone again are nobody's.
fn item(title: Title, outcome: &ImportOutcome, applied: bool) -> ImportItem {
    let (result, key, enrolment, detail) = match outcome {
        ImportOutcome::Active(key) => (ImportResult::Active, applied.then_some(key), None, None),
        ImportOutcome::Pending(key, enrolment) => {
            (ImportResult::Pending, applied.then_some(key), applied.then_some(enrolment), None)
        }
        ImportOutcome::AlreadyImported(key, enrolment) => {
            (ImportResult::AlreadyImported, Some(key), enrolment.as_ref(), None)
        }
        ImportOutcome::Gone => (ImportResult::Gone, None, None, None),
        ImportOutcome::Skipped(Fate::Void) => (ImportResult::Void, None, None, None),
        ImportOutcome::Skipped(_) => (ImportResult::Replaced, None, None, None),
        ImportOutcome::Refused(reason) => (ImportResult::Refused, None, None, Some(reason.clone())),
    };
    ImportItem {
        record: title.record,
        account: title.account,
        label: title.label,
        serial: title.serial,
        public_id: title.public_id,
        result,
        key_id: key.map(ToString::to_string),
        enrollment_id: enrolment.map(ToString::to_string),
        detail,
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        let code = match error {
            BundleError::Foreign { .. } => ProblemCode::BundleForeign,
            _ => ProblemCode::BundleUnreadable,
        };
        Self::new(code).detail(error.to_string()).field("bundle")
    }
}

//! `/enrollments`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use data_encoding::HEXLOWER;
use http::StatusCode;
use sha2::{Digest, Sha256};
use tapkey_api::{
    ProblemCode, SecretText,
    enrollments::{ConfirmEnrollment, CreateEnrollment, Enrollment, EnrollmentSecrets, EnrollmentState},
    keys::{AccessCode, Key},
};
use tapkey_domain::{
    Moment,
    enrol::State as Stage,
    id::EnrolmentId,
    name,
    policy::{ClaimedKey, KeyPolicy},
    role::{Operation, Role},
};
use tapkey_protocol::otp::{Otp, typed};

use super::{
    super::problem::{Failure, Result},
    Routes,
    extract::{Json, Name, created, optional, timestamp},
    keys::key,
};
use crate::{
    config::Policy,
    service::{Caller, Service},
    store::{Attempt, EnrolmentRow, EnrolmentSecrets, NewEnrolment, Password},
};

pub(super) fn register(routes: &mut Routes) {
    let enrol = Operation::Enrol;
    routes.post("/enrollments", enrol, create);
    routes.get("/enrollments/{id}", enrol, show);
    routes.delete("/enrollments/{id}", enrol, abandon);
    routes.post("/enrollments/{id}/confirm", enrol, confirm);
    routes.get("/enrollments/{id}/access-code", Operation::ReadAccessCode, access_code);
    routes.post("/enrollments/confirm", enrol, confirm_by_password);
}

type Context = State<Arc<Service>>;
type Who = Extension<Caller>;

async fn create(
    State(service): Context,
    Extension(caller): Who,
    Json(body): Json<CreateEnrollment>,
) -> Result<Response> {
    let now = service.clock.now();
    if body.create_account && caller.role != Role::Admin {
        return Err(Failure::new(ProblemCode::Forbidden)
            .detail("only an administrator's token may create accounts; create the account first")
            .field("create_account"));
    }
    let new = read(&service.policy, &body, now)?;
    let secrets = service.store.create_enrolment(caller.scope(now), caller.enroller(), new).await?;
    let path = format!("/enrollments/{}", secrets.id);
    Ok(created(&path, deliver(&secrets)))
}

async fn show(State(service): Context, Extension(caller): Who, name: Name) -> Result<Json<Enrollment>> {
    let row = service.store.enrolment(caller.tenant, id(&name)?).await?;
    let row = row.filter(|row| row.rules().visible_to(caller.enroller()));
    let row = row.ok_or_else(|| Failure::new(ProblemCode::EnrollmentNotFound))?;
    Ok(Json(enrollment(row, service.clock.now())))
}

async fn confirm(
    State(service): Context,
    Extension(caller): Who,
    name: Name,
    Json(body): Json<ConfirmEnrollment>,
) -> Result<Json<Key>> {
    let enrolment = id(&name)?;
    let (otp, otp_hash) = password(&body)?;
    let attempt = Attempt { enrolment, caller: caller.enroller(), otp, otp_hash };
    let row = service.store.confirm_enrolment(caller.scope(service.clock.now()), attempt).await?;
    service.validator.forget_key(caller.tenant, row.public_id);
    Ok(Json(key(row)))
}

/// For whoever has a key in hand and no id: the password says which enrolment is meant.
async fn confirm_by_password(
    State(service): Context,
    Extension(caller): Who,
    Json(body): Json<ConfirmEnrollment>,
) -> Result<Json<Key>> {
    let (otp, otp_hash) = password(&body)?;
    let password = Password { caller: caller.enroller(), otp, otp_hash };
    let row = service.store.confirm_by_password(caller.scope(service.clock.now()), password).await?;
    service.validator.forget_key(caller.tenant, row.public_id);
    Ok(Json(key(row)))
}

fn password(body: &ConfirmEnrollment) -> Result<(Otp, [u8; 32])> {
    let (otp, _) = typed::parse(&body.otp)
        .map_err(|error| Failure::new(ProblemCode::BadOtp).detail(error.to_string()).field("otp"))?;
    Ok((otp, Sha256::digest(otp.to_string().as_bytes()).into()))
}

/// A key that was programmed and never confirmed keeps its access code: somebody must be able to read it.
async fn access_code(
    State(service): Context,
    Extension(caller): Who,
    name: Name,
) -> Result<Json<AccessCode>> {
    let scope = caller.scope(service.clock.now());
    let code = service.store.enrolment_access_code(scope, id(&name)?).await?;
    Ok(Json(AccessCode { access_code: SecretText::new(HEXLOWER.encode(code.expose())) }))
}

async fn abandon(State(service): Context, Extension(caller): Who, name: Name) -> Result<StatusCode> {
    let scope = caller.scope(service.clock.now());
    service.store.abandon_enrolment(scope, caller.enroller(), id(&name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn id(name: &Name) -> Result<EnrolmentId> {
    name.id(ProblemCode::EnrollmentNotFound)
}

fn read(policy: &Policy, body: &CreateEnrollment, now: Moment) -> Result<NewEnrolment> {
    let claimed = ClaimedKey { emulated: body.emulated, serial: body.serial };
    KeyPolicy { accept_emulated: policy.accept_emulated }.check(claimed)?;
    let whole = serde_json::to_vec(body).unwrap_or_default();
    let expiry = u64::from(policy.enrollment_expiry_seconds) * 1000;
    Ok(NewEnrolment {
        request_id: body.request_id.parse()?,
        request_hash: Sha256::digest(&whole).into(),
        account: body.account.parse()?,
        create_account: body.create_account,
        slot: name::slot(body.slot)?,
        serial: body.serial,
        firmware: optional(body.firmware.as_deref())?,
        public_id: body.public_id.as_deref().map(name::server_public_id).transpose()?,
        label: optional(body.label.as_deref())?,
        emulated: claimed.is_emulated(),
        access_code: body.access_code,
        expires_at: now.plus_millis(expiry),
    })
}

fn deliver(secrets: &EnrolmentSecrets) -> EnrollmentSecrets {
    let hex = |bytes: &[u8]| SecretText::new(HEXLOWER.encode(bytes));
    EnrollmentSecrets {
        id: secrets.id.to_string(),
        public_id: secrets.public_id.to_string(),
        private_id: hex(secrets.secret.private_id.expose()),
        aes_key: hex(secrets.secret.aes_key.expose()),
        access_code: secrets.access_code.as_ref().map(|code| hex(code.expose())),
        expires_at: timestamp(secrets.expires_at),
    }
}

fn enrollment(row: EnrolmentRow, now: Moment) -> Enrollment {
    let (state, active) = match row.rules().state_at(now) {
        Stage::Pending => (EnrollmentState::Pending, false),
        Stage::Active { .. } => (EnrollmentState::Active, true),
        Stage::Abandoned => (EnrollmentState::Abandoned, false),
        Stage::Expired => (EnrollmentState::Expired, false),
        _ => (EnrollmentState::Unknown, false),
    };
    Enrollment {
        id: row.id.to_string(),
        request_id: row.request_id,
        state,
        account: row.account,
        public_id: row.public_id.to_string(),
        slot: row.slot,
        serial: row.serial,
        key_id: active.then(|| row.credential.to_string()),
        created_at: timestamp(row.created_at),
        expires_at: timestamp(row.expires_at),
    }
}

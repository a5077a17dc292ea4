//! `tapkey piv verify-attestation`: was this private key generated on a key, and which?

use std::path::PathBuf;

use clap::Args as ClapArgs;
use jiff::Timestamp;
use serde::Serialize;
use tapkey_driver::piv::{PivRefusal, public_key_to_der};
use tapkey_protocol::management::FormFactorByte;
use tapkey_protocol::piv::{PublicKey, Slot, attestation};
use x509_cert::{
    Certificate,
    der::{Decode, Encode},
    ext::pkix::BasicConstraints,
};

use super::{
    files::{self, CERTIFICATE, PUBLIC_KEY},
    session::{Piv, failed, public_key_of},
    signing::signed_by,
};
use crate::{
    commands::Context,
    exit::Failure,
    output::{fields, good},
};

/// Options of `tapkey piv verify-attestation`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "The chain goes from the attestation over the certificate of slot f9 to ROOT, which you trust: for \
genuine keys that is a certificate that Yubico publishes, for software keys what `tapkey emulate attestation-root` \
prints. Nothing is trusted that is not in ROOT.

Examples:
  tapkey piv verify-attestation 9a --root yubico.pem
  tapkey piv verify-attestation --attestation a.pem --intermediate f9.pem --root yubico.pem"
)]
pub(crate) struct Args {
    /// The slot, for the key at hand.
    #[arg(required_unless_present = "attestation", conflicts_with = "attestation")]
    slot: Option<Slot>,

    /// The attestation, in PEM or DER, without a key at hand.
    #[arg(long, value_name = "FILE", requires = "intermediate")]
    attestation: Option<PathBuf>,

    /// The certificate of slot f9, and others up to the root, in PEM or DER.
    #[arg(long, value_name = "FILE")]
    intermediate: Vec<PathBuf>,

    /// The certificates that you trust, in PEM or DER.
    #[arg(long, value_name = "FILE", required = true)]
    root: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Document {
    valid: bool,
    slot: Option<String>,
    serial: Option<u32>,
    version: Option<String>,
    pin_policy: Option<&'static str>,
    touch_policy: Option<&'static str>,
    form_factor: Option<String>,
    algorithm: Option<&'static str>,
    public_key: String,
    root: String,
}

/// Checks it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let roots = read_all(&args.root)?;
    let mut issuers = read_all(&args.intermediate)?;
    let (leaf, held) = match (&args.attestation, args.slot) {
        (Some(path), _) => (read_all(std::slice::from_ref(path))?.swap_remove(0), None),
        (None, Some(slot)) => {
            let (leaf, issuer, public) = ask(slot, context)?;
            issuers.extend(issuer);
            (leaf, Some(public))
        }
        (None, None) => return Err(Failure::usage("name a slot, or a file with --attestation")),
    };
    let root = chain(&leaf, &issuers, &roots)?;
    let bytes = leaf.to_der().map_err(|error| broken(&error))?;
    let public = public_key_of(&bytes)?;
    if held.is_some_and(|held| held != public) {
        return Err(Failure::failed("the attestation is about another key than the one in the slot"));
    }
    let document = describe(&leaf, &public, &root)?;
    context.printer.result("piv-attested/1", &document, human)
}

/// Has the key attest, and tells its issuer and the public key in the slot.
fn ask(slot: Slot, context: &Context) -> Result<(Certificate, Option<Certificate>, PublicKey), Failure> {
    let mut piv = Piv::begin(context)?;
    let leaf = piv.with(|session, control| session.attest(slot, control))?;
    let leaf = parse(&leaf)?;
    let issuer = piv.with(|session, control| session.certificate(Slot::ATTESTATION, control))?;
    let issuer =
        issuer.ok_or_else(|| failed(PivRefusal::NoObject { id: Slot::ATTESTATION.certificate() }.into()))?;
    let public = if piv.session.version() >= tapkey_protocol::piv::since::METADATA {
        piv.public_key(slot)?
    } else {
        // Older firmware says nothing beside the attestation.
        public_key_of(&leaf.to_der().map_err(|error| broken(&error))?)?
    };
    Ok((leaf, Some(parse(&files::unpack(&issuer)?)?), public))
}

/// Goes up from the attestation until a certificate that is trusted has signed.
fn chain(leaf: &Certificate, issuers: &[Certificate], roots: &[Certificate]) -> Result<String, Failure> {
    in_time(leaf)?;
    let mut current = leaf;
    for above in 0..=LONGEST_CHAIN {
        if let Some(root) = roots.iter().find(|root| has_signed(root, current)) {
            if above == 0 {
                return Err(Failure::failed(
                    "the trusted certificate signed the attestation itself; it has to come from slot f9",
                ));
            }
            in_time(root)?;
            return Ok(root.tbs_certificate().subject().to_string());
        }
        let Some(issuer) = issuers.iter().find(|issuer| *issuer != current && has_signed(issuer, current))
        else {
            let name = current.tbs_certificate().issuer();
            return Err(Failure::failed(format!(
                "the chain does not reach a trusted certificate: nothing at hand signed as {name}"
            ))
            .hint("--root names what you trust, --intermediate what lies between"));
        };
        in_time(issuer)?;
        // Without this, the owner of any attested key could attest others with it.
        let below = u8::try_from(above).unwrap_or(u8::MAX);
        if !may_issue(issuer, below) {
            return Err(Failure::failed(format!(
                "{} signed, but may not issue certificates",
                issuer.tbs_certificate().subject()
            )));
        }
        current = issuer;
    }
    Err(Failure::failed("the chain is too long"))
}

fn has_signed(issuer: &Certificate, certificate: &Certificate) -> bool {
    if issuer.tbs_certificate().subject() != certificate.tbs_certificate().issuer() {
        return false;
    }
    let (Ok(issuer), Ok(message)) = (issuer.to_der(), certificate.tbs_certificate().to_der()) else {
        return false;
    };
    let (Ok(key), Some(signature)) = (public_key_of(&issuer), certificate.signature().as_bytes()) else {
        return false;
    };
    // What is said twice has to be the same (RFC 5280 section 4.1.1.2).
    certificate.signature_algorithm() == certificate.tbs_certificate().signature()
        && signed_by(&key, certificate.signature_algorithm(), &message, signature)
}

/// Whether a certificate may have signed one that stands over `below` other issuers.
fn may_issue(certificate: &Certificate, below: u8) -> bool {
    match certificate.tbs_certificate().get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) => {
            constraints.ca && constraints.path_len_constraint.is_none_or(|longest| below <= longest)
        }
        _ => false,
    }
}

fn in_time(certificate: &Certificate) -> Result<(), Failure> {
    let body = certificate.tbs_certificate();
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    let from = body.validity().not_before.to_unix_duration().as_secs();
    let to = body.validity().not_after.to_unix_duration().as_secs();
    if (from..=to).contains(&now) {
        return Ok(());
    }
    Err(Failure::failed(format!("the certificate of {} is not valid today", body.subject())))
}

fn describe(leaf: &Certificate, public: &PublicKey, root: &str) -> Result<Document, Failure> {
    let subject = leaf.tbs_certificate().subject().to_string();
    let slot = subject.rsplit(' ').next().and_then(|word| word.parse::<Slot>().ok());
    let policies = extension(leaf, attestation::OID_POLICIES).and_then(attestation::parse_policies);
    let form_factor = extension(leaf, attestation::OID_FORM_FACTOR).and_then(|value| match value {
        &[byte] => Some(FormFactorByte(byte).shape().to_string()),
        _ => None,
    });
    let der = public_key_to_der(public).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(Document {
        valid: true,
        slot: slot.map(|slot| slot.to_string()),
        serial: extension(leaf, attestation::OID_SERIAL).and_then(attestation::parse_serial),
        version: extension(leaf, attestation::OID_FIRMWARE)
            .and_then(attestation::parse_firmware)
            .map(|version| version.to_string()),
        pin_policy: policies.map(|(pin, _)| pin.name()),
        touch_policy: policies.map(|(_, touch)| touch.name()),
        form_factor,
        algorithm: public.algorithm().map(tapkey_protocol::piv::Algorithm::name),
        public_key: files::pem(PUBLIC_KEY, &der),
        root: root.to_owned(),
    })
}

fn extension<'a>(certificate: &'a Certificate, oid: &str) -> Option<&'a [u8]> {
    let extensions = certificate.tbs_certificate().extensions()?;
    let found = extensions.iter().find(|extension| extension.extn_id.to_string() == oid)?;
    Some(found.extn_value.as_bytes())
}

fn human(document: &Document) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "not told".to_owned());
    let policy = |value: Option<&'static str>| value.unwrap_or("not told").to_owned();
    let rows = fields(&[
        ("slot", text(&document.slot)),
        ("algorithm", policy(document.algorithm)),
        ("serial", document.serial.map_or_else(|| "not told".to_owned(), |serial| serial.to_string())),
        ("firmware", text(&document.version)),
        ("form factor", text(&document.form_factor)),
        ("PIN policy", policy(document.pin_policy)),
        ("touch policy", policy(document.touch_policy)),
        ("trusted through", document.root.clone()),
    ]);
    format!("{}\n{rows}", good("the key was generated on this device and never left it"))
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<Certificate>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        let before = all.len();
        for part in files::parts(&files::read(path)?)? {
            if part.label.is_empty() || part.label == CERTIFICATE {
                let certificate = parse(&part.der).map_err(|failure| {
                    Failure::usage(format!("{}: {}", path.display(), failure.message()))
                })?;
                all.push(certificate);
            }
        }
        if all.len() == before {
            return Err(Failure::usage(format!("there is no certificate in {}", path.display())));
        }
    }
    Ok(all)
}

fn parse(der: &[u8]) -> Result<Certificate, Failure> {
    Certificate::from_der(der).map_err(|error| broken(&error))
}

fn broken(error: &x509_cert::der::Error) -> Failure {
    Failure::failed(format!("the certificate cannot be read: {error}"))
}

const LONGEST_CHAIN: usize = 4;

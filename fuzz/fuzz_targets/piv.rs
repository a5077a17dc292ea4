//! Commands, answers and objects of the PIV application: what can be read is written in a form that
//! reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_protocol::piv::{
    AdminData, Algorithm, AuthAnswer, Authenticate, BioMetadata, Ccc, CertificateObject, ChangeReference,
    Chuid, Generate, GetData, Import, KeyMetadata, ManagementKeyMetadata, ObjectId, PinMetadata, ProtectedKey,
    PublicKey, PutData, SetManagementKey, Slot, attestation,
};

fuzz_target!(|data: &[u8]| {
    let Some((p, body)) = data.split_first() else { return };
    commands(*p, body);
    answers(*p, body);
    objects(body);
    if let Ok(text) = str::from_utf8(body) {
        let _ = (text.parse::<Slot>(), text.parse::<ObjectId>(), text.parse::<Algorithm>());
    }
});

fn commands(p: u8, body: &[u8]) {
    if let Ok(generate) = Generate::parse(body) {
        assert_eq!(Generate::parse(&generate.encode()), Ok(generate));
    }
    if let Ok(import) = Import::parse(p, body) {
        assert_eq!(Import::parse(p, &import.encode()), Ok(import));
    }
    if let Ok(request) = Authenticate::parse(body) {
        assert_eq!(Authenticate::parse(&request.encode()), Ok(request));
    }
    if let Ok(get) = GetData::parse(body) {
        assert_eq!(GetData::parse(&get.encode()), Ok(get));
    }
    if let Ok(put) = PutData::parse(body) {
        assert_eq!(PutData::parse(&put.encode()), Ok(put));
    }
    if let Ok(set) = SetManagementKey::parse(p, body) {
        assert_eq!(SetManagementKey::parse(p, &set.encode()), Ok(set));
    }
    let _ = ChangeReference::parse(body);
}

fn answers(p: u8, body: &[u8]) {
    if let Ok(answer) = AuthAnswer::parse(body) {
        assert_eq!(AuthAnswer::parse(&answer.encode()), Ok(answer));
    }
    if let Ok(metadata) = KeyMetadata::parse(body) {
        assert_eq!(KeyMetadata::parse(&metadata.encode()), Ok(metadata));
    }
    let _ = (PinMetadata::parse(body), ManagementKeyMetadata::parse(body), BioMetadata::parse(body));
    if let Ok(algorithm) = Algorithm::try_from(p)
        && let Ok(key) = PublicKey::parse_generated(body, algorithm)
    {
        assert_eq!(PublicKey::parse_generated(&key.encode_generated(), algorithm), Ok(key));
    }
    if let Some(serial) = attestation::parse_serial(body) {
        assert_eq!(attestation::parse_serial(&attestation::write_serial(serial)), Some(serial));
    }
    let _ = (attestation::parse_firmware(body), attestation::parse_policies(body));
}

fn objects(body: &[u8]) {
    if let Ok(object) = CertificateObject::parse(body) {
        assert_eq!(CertificateObject::parse(&object.encode()), Ok(object));
    }
    if let Ok(chuid) = Chuid::parse(body) {
        assert_eq!(Chuid::parse(&chuid.encode()), Ok(chuid));
    }
    if let Ok(ccc) = Ccc::parse(body) {
        assert_eq!(Ccc::parse(&ccc.encode()), Ok(ccc));
    }
    if let Ok(admin) = AdminData::parse(body) {
        assert_eq!(AdminData::parse(&admin.encode()), Ok(admin));
    }
    if let Ok(key) = ProtectedKey::parse(body) {
        assert_eq!(ProtectedKey::parse(&key.encode()), Ok(key));
    }
}

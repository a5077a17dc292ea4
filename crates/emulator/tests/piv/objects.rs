//! Stored objects.

use tapkey_protocol::piv::{DISCOVERY, MAX_OBJECT, ObjectId, PutData, parse_object};

use super::*;

pub(super) fn get(piv: &Piv, id: &str) -> Result<Vec<u8>, StatusWord> {
    let id = id.parse::<ObjectId>().unwrap();
    Ok(parse_object(id, &piv.send(&command::get_data(id))?).unwrap().to_vec())
}

pub(super) fn put(piv: &Piv, id: &str, value: &[u8]) -> Result<(), StatusWord> {
    let put = PutData { id: id.parse().unwrap(), value: value.to_vec().into() };
    piv.send(&command::put_data(&put)).map(drop)
}

#[test]
fn a_new_key_has_discovery_and_its_attestation_certificate() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    assert_eq!(get(&piv, "7e").unwrap(), DISCOVERY);
    assert_eq!(get(&piv, "5fff01").unwrap()[0], 0x70);
    let others = ObjectId::named().filter(|id| {
        !id.needs_pin() && ![ObjectId::DISCOVERY, ObjectId::ATTESTATION_CERTIFICATE].contains(id)
    });
    for id in others {
        assert_eq!(piv.send(&command::get_data(id)), Err(NOT_FOUND), "{id}");
    }
}

#[test]
fn objects_come_and_go() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    assert_eq!(put(&piv, "5fc102", &[1, 2, 3]), Err(LOCKED));
    assert_eq!(piv.send(&Command::new(0, 0xDB, 0x3F, 0xFF, [0; 40])), Err(LOCKED), "before the body is read");
    piv.administer();
    for id in ["5fc102", "5fc120", "5f0000", "5fffff", "5fff01", "5fc123"] {
        put(&piv, id, &[1, 2, 3]).unwrap();
        assert_eq!(get(&piv, id).unwrap(), [1, 2, 3]);
        put(&piv, id, &[4]).unwrap();
        assert_eq!(get(&piv, id).unwrap(), [4]);
        put(&piv, id, &[]).unwrap();
        assert_eq!(get(&piv, id), Err(NOT_FOUND), "gone, not empty");
    }
    for id in ["7e", "7f61", "60c102", "5ec102"] {
        assert_eq!(put(&piv, id, &[1]), Err(WRONG), "{id}");
    }
    assert_eq!(get(&piv, "60c102"), Err(NOT_FOUND));
    assert_eq!(piv.send(&Command::new(0, 0xCB, 0x3F, 0xFF, [0x5C, 3, 0x5F])), Err(WRONG));
}

#[test]
fn some_are_read_with_the_pin_only() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    piv.administer();
    for id in ["5fc103", "5fc108", "5fc109", "5fc121"] {
        assert_eq!(get(&piv, id), Err(LOCKED), "not even whether there is one");
        put(&piv, id, &[9]).unwrap();
        assert_eq!(get(&piv, id), Err(LOCKED), "the management key does not do");
    }
    piv.verify(b"123456").unwrap();
    assert_eq!(get(&piv, "5fc109").unwrap(), [9]);
    piv.send(&command::log_out()).unwrap();
    assert_eq!(get(&piv, "5fc109"), Err(LOCKED));
}

#[test]
fn sizes() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    piv.administer();
    put(&piv, "5fc105", &[7; MAX_OBJECT]).unwrap();
    assert_eq!(get(&piv, "5fc105").unwrap(), [7; MAX_OBJECT], "by chains in both directions");
    assert_eq!(put(&piv, "5fc105", &[8; MAX_OBJECT + 1]), Err(StatusWord::WRONG_LENGTH));
    assert_eq!(get(&piv, "5fc105").unwrap(), [7; MAX_OBJECT]);
    let full = (0..100)
        .map(|number| put(&piv, &format!("5fc2{number:02x}"), &[1; MAX_OBJECT]))
        .position(|done| done.is_err());
    assert_eq!(put(&piv, "5fc300", &[1; MAX_OBJECT]), Err(StatusWord::NO_SPACE));
    assert!((10..20).contains(&full.unwrap()));
    put(&piv, "5fc105", &[2; MAX_OBJECT]).unwrap();
    put(&piv, "5fc105", &[]).unwrap();
    put(&piv, "5fc300", &[1; MAX_OBJECT]).unwrap();
}

use proptest::prelude::*;

use super::*;

#[test]
fn long_data_becomes_a_chain() {
    let parts = split(&Command::new(0x00, 0xDB, 0x3F, 0xFF, vec![7; 600]).with_le(256));
    assert_eq!(parts.iter().map(|part| part.data.len()).collect::<Vec<_>>(), [255, 255, 90]);
    assert_eq!(parts.iter().map(|part| part.cla).collect::<Vec<_>>(), [0x10, 0x10, 0x00]);
    assert_eq!(parts.iter().map(|part| part.le).collect::<Vec<_>>(), [None, None, Some(256)]);
}

#[test]
fn a_refusal_ends_the_chain() {
    let command = Command::new(0, 0xDB, 0, 0, vec![7; 300]);
    let mut transaction = Transaction::new(&command, Encoding::Short).unwrap();
    assert!(matches!(transaction.start(), Next::Send(_)));
    let next = transaction.receive(&[0x69, 0x82]).unwrap();
    assert_eq!(next, Next::Done(Response::status(StatusWord::SECURITY_STATUS_NOT_SATISFIED)));
}

#[test]
fn oath_fetches_the_rest_its_own_way() {
    let command = Command::new(0, 0xA1, 0, 0, []);
    let mut transaction =
        Transaction::new(&command, Encoding::Short).unwrap().continue_with(ins::OATH_SEND_REMAINING);
    let _ = transaction.start();
    let next = transaction.receive(&[1, 2, 0x61, 0x03]).unwrap();
    assert_eq!(next, Next::Send(vec![0, 0xA5, 0, 0, 3]));
    let next = transaction.receive(&[3, 4, 5, 0x90, 0x00]).unwrap();
    assert_eq!(next, Next::Done(Response::ok([1, 2, 3, 4, 5])));
}

#[test]
fn endless_answers_are_cut_off() {
    let command = Command::new(0, 0xA1, 0, 0, []);
    let mut transaction = Transaction::new(&command, Encoding::Short).unwrap().limit(3);
    let _ = transaction.start();
    assert!(transaction.receive(&[1, 2, 0x61, 0x00]).is_ok());
    assert_eq!(transaction.receive(&[3, 4, 0x61, 0x00]), Err(TransactionError::TooLong { limit: 3 }));
}

#[test]
fn another_command_breaks_a_chain() {
    let mut reassembler = Reassembler::new(1000);
    let first = reassembler.push(Command::new(0x10, 0xDB, 0, 0, [1]));
    assert!(matches!(first, Assembled::More(StatusWord::SUCCESS)));
    let Assembled::Complete(command) = reassembler.push(Command::new(0x00, 0xA4, 4, 0, [2])) else {
        panic!("the command is complete");
    };
    assert_eq!(command.data, [2]);
}

#[test]
fn a_chain_has_a_limit() {
    let mut reassembler = Reassembler::new(300);
    let _ = reassembler.push(Command::new(0x10, 0xDB, 0, 0, vec![1; 255]));
    let refused = reassembler.push(Command::new(0x00, 0xDB, 0, 0, vec![1; 46]));
    assert!(matches!(refused, Assembled::Refused(StatusWord::WRONG_LENGTH)));
}

#[test]
fn an_empty_next_piece() {
    let mut pending = Pending::new();
    assert!(pending.next_piece(256).is_none());
    let whole = pending.begin(Response::ok([1, 2]), 256);
    assert_eq!(whole, Response::ok([1, 2]));
    assert!(!pending.is_waiting());
}

#[test]
fn debug_shows_no_data() {
    let command = Command::new(0, 0x20, 0, 0x80, vec![0xAB; 300]);
    let mut transaction = Transaction::new(&command, Encoding::Short).unwrap();
    let mut reassembler = Reassembler::new(1000);
    let next = transaction.start();
    let part = reassembler.push(Command::new(0x10, 0x20, 0, 0x80, [0xAB; 9]));
    let mut pending = Pending::new();
    let piece = pending.begin(Response::ok([0xAB; 9]), 4);
    let text = format!("{transaction:?} {next:?} {reassembler:?} {part:?} {pending:?} {piece:?}");
    assert!(!text.contains("171") && !text.to_lowercase().contains("ab,"), "{text}");
}

proptest! {
    #[test]
    fn both_ends_agree(
        data in proptest::collection::vec(any::<u8>(), 0..2000),
        answer in proptest::collection::vec(any::<u8>(), 0..2000),
        limit in 1_usize..=256,
    ) {
        let command = Command::new(0x00, 0xDB, 1, 2, data.clone());
        let mut host = Transaction::new(&command, Encoding::Short).unwrap();
        let mut reassembler = Reassembler::new(4096);
        let mut pending = Pending::new();
        let mut next = host.start();
        let response = loop {
            let bytes = match next {
                Next::Send(bytes) => bytes,
                Next::Done(response) => break response,
            };
            let part = Command::parse(&bytes).unwrap();
            let reply = if part.ins == ins::GET_RESPONSE {
                pending.next_piece(limit).unwrap()
            } else {
                match reassembler.push(part) {
                    Assembled::More(status) | Assembled::Refused(status) => Response::status(status),
                    Assembled::Complete(whole) => {
                        prop_assert_eq!(&whole.data, &data);
                        pending.begin(Response::ok(answer.clone()), limit)
                    }
                }
            };
            next = host.receive(&reply.encode()).unwrap();
        };
        prop_assert_eq!(response, Response::ok(answer));
        prop_assert!(!pending.is_waiting());
    }
}

use super::super::us_key;
use super::*;

#[test]
fn tables_are_whole() {
    assert_eq!(Layout::all().count(), TABLES.len() + 1);
    for table in &TABLES {
        for rows in [&table.plain, &table.shifted] {
            for (row, usages) in rows.iter().zip(ROWS) {
                assert_eq!(row.chars().count(), usages.len(), "{} {row:?}", table.code);
            }
        }
        for (key, character) in table.keys() {
            // Some characters stand on two keys; the first one counts.
            let found = table.layout.key(character).unwrap();
            assert_eq!(table.layout.character(found), Some(character), "{} {key:?}", table.code);
            assert!(key.usage < 0x80);
        }
    }
}

#[test]
fn codes_are_read_back() {
    for layout in Layout::all() {
        assert_eq!(layout.code().parse(), Ok(layout));
        assert_eq!(layout.to_string().to_uppercase().parse(), Ok(layout));
        assert!(!layout.title().is_empty());
    }
    assert_eq!("gb".parse(), Ok(Layout::Uk));
    assert_eq!("klingon".parse::<Layout>(), Err(NoSuchLayout));
}

#[test]
fn the_us_table_is_the_us_keyboard() {
    for ascii in b' '..=b'~' {
        let character = char::from(ascii);
        assert_eq!(Layout::Us.key(character), us_key(character), "{character:?}");
    }
    assert_eq!(Layout::Us.characters().count(), 94);
}

#[test]
fn modhex_letters_stand_where_tickets_type_them() {
    // On these layouts a one-time password comes out as it is meant.
    for code in ["us", "uk", "de", "fr", "it", "be", "ch", "dk", "es", "fi", "no", "pt", "se", "hu", "cz"] {
        let layout: Layout = code.parse().unwrap();
        for letter in "cbdefghijklnrtuv".chars() {
            assert_eq!(layout.key(letter), us_key(letter), "{code} {letter}");
        }
    }
    assert_ne!(Layout::Dvorak.key('c'), us_key('c'));
    assert_eq!(Layout::Modhex.key('z'), None);
    assert_eq!(Layout::Modhex.characters().count(), 32);
}

#[test]
fn dead_keys_wait_for_the_next_one() {
    let accent = Key::plain(0x35);
    assert_eq!(Layout::De.keys('^'), Some(vec![accent, SPACE]));
    assert_eq!(Layout::De.keys('ê'), Some(vec![accent, Key::plain(0x08)]));
    assert_eq!(Layout::De.keys('Ê'), Some(vec![accent, Key::shifted(0x08)]));
    assert_eq!(Layout::Es.keys('á'), Some(vec![Key::plain(0x34), Key::plain(0x04)]));
    // Here it has a key of its own.
    assert_eq!(Layout::Fr.keys('é'), Some(vec![Key::plain(0x1F)]));
    assert_eq!(Layout::De.keys('´'), None, "systems disagree");
    assert_eq!(Layout::Us.keys('é'), None);
}

//! Errors of TOML texts that may hold secrets: by line, without a copy of what stands there.

/// The line of an error, from 1 (0 where it is not known), and what is wrong without any value.
pub(super) fn explain(text: &str, error: &toml::de::Error) -> (usize, String) {
    let line = error.span().map_or(0, |span| line_of(text, span.start));
    (line, without_values(error.message()))
}

/// The line, from 1, of a place in a text.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// serde repeats the value in `invalid type: string "…", expected a number`; its type is enough.
fn without_values(message: &str) -> String {
    let mut kept = message.lines().next().unwrap_or_default().to_owned();
    for start in ["invalid type: ", "invalid value: "] {
        if let Some(rest) = message.strip_prefix(start) {
            let kind: String = rest.chars().take_while(|c| c.is_alphabetic() || *c == ' ').collect();
            let expected = rest.rfind("expected ").and_then(|at| rest.get(at..)).unwrap_or_default();
            let expected = expected.lines().next().unwrap_or_default();
            kept = format!("{} where something else belongs; {expected}", kind.trim());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[expect(dead_code, reason = "only read from a text")]
        name: String,
    }

    #[test]
    fn values_are_left_out() {
        for (text, line) in [("\nname = 12345678", 2), ("name = [\"12345678\"]", 1)] {
            let error = toml::from_str::<Example>(text).unwrap_err();
            let (found, message) = explain(text, &error);
            assert_eq!(found, line, "{message}");
            assert!(!message.contains("123456") && message.contains("expected a string"), "{message}");
        }
    }

    #[test]
    fn unknown_fields_are_named() {
        let text = "name = \"x\"\nnmae = 1";
        let error = toml::from_str::<Example>(text).unwrap_err();
        let (line, message) = explain(text, &error);
        assert_eq!(line, 2);
        assert!(message.contains("nmae"), "{message}");
    }
}

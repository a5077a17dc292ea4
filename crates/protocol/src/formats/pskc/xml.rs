//! Just enough XML: a small tree, with limits. Document types and entities are refused.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use zeroize::Zeroizing;

use super::PskcError;

/// The most bytes of a file: thousands of keys.
pub(super) const MAX_SIZE: usize = 16 * 1024 * 1024;
/// The deepest nesting; RFC 6030 itself needs nine.
pub(super) const MAX_DEPTH: usize = 32;

/// An element. Namespaces of children are not looked at: their place in the tree says what they are.
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    /// May be a secret.
    text: Zeroizing<String>,
    pub(super) line: usize,
}

impl Element {
    /// The first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first descendant along a path.
    pub(super) fn path(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// All children of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The text without white space around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The text of a child, when it is there and not empty.
    pub(super) fn text_of(&self, name: &str) -> Option<String> {
        self.child(name).map(|child| child.text().to_owned()).filter(|text| !text.is_empty())
    }
}

/// Reads a document; returns its root and the namespace of it.
pub(super) fn parse(bytes: &[u8]) -> Result<(Element, Option<String>), PskcError> {
    if bytes.len() > MAX_SIZE {
        return Err(PskcError::TooLarge);
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = str::from_utf8(bytes).map_err(|_| PskcError::NotText)?;
    let mut lines = Lines { text, position: 0, line: 1 };
    let mut reader = NsReader::from_str(text);
    reader.config_mut().enable_all_checks(true);
    let mut tree = Tree::default();
    loop {
        let position = usize::try_from(reader.buffer_position()).unwrap_or(0);
        let Ok((resolved, event)) = reader.read_resolved_event() else {
            return Err(PskcError::NotXml { line: lines.at(position) });
        };
        let namespace = match resolved {
            ResolveResult::Bound(namespace) => Some(namespace.into_inner().to_owned()),
            ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
        };
        if matches!(event, Event::Eof) {
            break;
        }
        tree.take(event, namespace, lines.at(position))?;
    }
    if !tree.open.is_empty() {
        return Err(PskcError::NotXml { line: lines.at(text.len()) });
    }
    tree.root.ok_or(PskcError::NotAContainer)
}

#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<(Element, Option<String>)>,
    namespace: Option<String>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, namespace: Option<String>, line: usize) -> Result<(), PskcError> {
        let not_xml = PskcError::NotXml { line };
        match event {
            Event::Start(start) => self.begin(&start, namespace, line),
            Event::Empty(start) => {
                self.begin(&start, namespace, line)?;
                self.end(&not_xml)
            }
            Event::End(_) => self.end(&not_xml),
            Event::Text(text) => self.append(&text.into_inner(), &not_xml),
            Event::CData(text) => self.append(&text.into_inner(), &not_xml),
            Event::GeneralRef(reference) => {
                let entity = PskcError::DocumentType { line };
                if reference.is_char_ref() {
                    let c = reference.resolve_char_ref().ok().flatten().ok_or(not_xml.clone())?;
                    return self.append(c.encode_utf8(&mut [0; 4]), &not_xml);
                }
                let text = resolve_predefined_entity(&reference.into_inner()).ok_or(entity)?;
                self.append(text, &not_xml)
            }
            Event::DocType(_) => Err(PskcError::DocumentType { line }),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn begin(
        &mut self,
        start: &BytesStart<'_>,
        namespace: Option<String>,
        line: usize,
    ) -> Result<(), PskcError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(PskcError::TooDeep);
        }
        if self.open.is_empty() {
            if self.root.is_some() {
                return Err(PskcError::NotXml { line });
            }
            self.namespace = namespace;
        }
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| PskcError::NotXml { line })?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| PskcError::DocumentType { line })?;
            attributes.push((attribute.key.local_name().into_inner().to_owned(), value.into_owned()));
        }
        self.open.push(Element {
            name: start.local_name().into_inner().to_owned(),
            attributes,
            children: Vec::new(),
            text: Zeroizing::new(String::new()),
            line,
        });
        Ok(())
    }

    fn end(&mut self, not_xml: &PskcError) -> Result<(), PskcError> {
        let element = self.open.pop().ok_or_else(|| not_xml.clone())?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some((element, self.namespace.take())),
        }
        Ok(())
    }

    fn append(&mut self, text: &str, not_xml: &PskcError) -> Result<(), PskcError> {
        match self.open.last_mut() {
            Some(element) => {
                // Growing would leave copies of a secret behind.
                let mut whole = Zeroizing::new(String::with_capacity(element.text.len() + text.len()));
                whole.push_str(&element.text);
                whole.push_str(text);
                element.text = whole;
                Ok(())
            }
            None if text.trim().is_empty() => Ok(()),
            None => Err(not_xml.clone()),
        }
    }
}

/// Counts lines as it goes along.
struct Lines<'a> {
    text: &'a str,
    position: usize,
    line: usize,
}

impl Lines<'_> {
    fn at(&mut self, position: usize) -> usize {
        let passed = self.text.as_bytes().get(self.position..position).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.position = self.position.max(position);
        self.line
    }
}

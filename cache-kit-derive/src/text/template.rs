//! `"{order_id}:{item_id}"`: a key of fields and text.

/// A piece of a template. `F` names a field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<F> {
    /// Text that goes into the key unchanged.
    Text(String),
    /// The field whose text goes into the key.
    Field(F),
}

impl<F> Piece<F> {
    pub(crate) fn field(&self) -> Option<&F> {
        match self {
            Self::Field(field) => Some(field),
            Self::Text(_) => None,
        }
    }
}

/// Whether `text` is a template and not the bare name of a field.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains(['{', '}'])
}

/// Splits a template into pieces, or says what is wrong with it.
pub(crate) fn parse(template: &str) -> Result<Vec<Piece<String>>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = template.chars();
    while let Some(c) = rest.next() {
        match c {
            '{' if rest.as_str().starts_with('{') => {
                rest.next();
                text.push('{');
            }
            '}' if rest.as_str().starts_with('}') => {
                rest.next();
                text.push('}');
            }
            '{' => {
                let (name, tail) = rest
                    .as_str()
                    .split_once('}')
                    .filter(|(name, _)| !name.contains('{'))
                    .ok_or("a `{` is not closed: add the `}`, or write `{{` for a brace")?;
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Field(field_name(name)?));
                rest = tail.chars();
            }
            '}' => return Err("a `}` has no `{`: remove it, or write `}}` for a brace".to_owned()),
            c => text.push(c),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    if !pieces.iter().any(|piece| matches!(piece, Piece::Field(_))) {
        return Err(
            "the template names no field, so that every entity would have the same key: write \
             one in braces, as in `{id}`"
                .to_owned(),
        );
    }
    Ok(pieces)
}

fn field_name(name: &str) -> Result<String, String> {
    let shown = name.escape_debug();
    if name.is_empty() {
        return Err("`{}` names no field: write one between the braces, as in `{id}`".to_owned());
    }
    if let Some((field, _)) = name.split_once(':') {
        return Err(format!(
            "`{{{shown}}}` asks for a format, which a key has not: write `{{{}}}`",
            field.escape_debug()
        ));
    }
    if name.trim() != name {
        return Err(format!(
            "`{{{shown}}}` has blanks in it: write `{{{}}}`",
            name.trim().escape_debug()
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece<String> {
        Piece::Text(text.to_owned())
    }

    fn field(name: &str) -> Piece<String> {
        Piece::Field(name.to_owned())
    }

    #[test]
    fn fields_text_and_braces() {
        for (template, pieces) in [
            ("{a}:{b}", vec![field("a"), text(":"), field("b")]),
            ("{a}", vec![field("a")]),
            (
                "x{a}{b}y",
                vec![text("x"), field("a"), field("b"), text("y")],
            ),
            ("{{{a}}}", vec![text("{"), field("a"), text("}")]),
            ("{0}/{1}", vec![field("0"), text("/"), field("1")]),
            ("ä{a}🦀", vec![text("ä"), field("a"), text("🦀")]),
        ] {
            assert_eq!(parse(template), Ok(pieces), "{template}");
        }
    }

    #[test]
    fn a_bad_template_is_refused_with_the_fix() {
        for (template, part) in [
            ("{a", "not closed"),
            ("{", "not closed"),
            ("{a{b}", "not closed"),
            ("a}", "has no `{`"),
            ("}", "has no `{`"),
            ("{}", "names no field"),
            ("{a:>5}", "write `{a}`"),
            ("{ a }", "write `{a}`"),
            ("{{a}}", "names no field"),
            ("", "names no field"),
        ] {
            assert!(
                parse(template).is_err_and(|m| m.contains(part)),
                "{template}"
            );
        }
    }

    #[test]
    fn a_bare_name_is_no_template() {
        assert!(!is_template("id"));
        assert!(is_template("{id}"));
        assert!(is_template("id}"));
    }
}
